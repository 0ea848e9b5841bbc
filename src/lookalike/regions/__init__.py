"""Parts of images: crops that an encoder's map proposes, and the region vectors of items."""
