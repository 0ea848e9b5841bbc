"""Move a collection to another store or another encoder, and back it up."""
