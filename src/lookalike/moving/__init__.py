"""A collection to another store, or to another encoder."""
