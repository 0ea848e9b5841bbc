"""Index images: plan what to do, then read, decode, encode and store."""
