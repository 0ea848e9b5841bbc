"""The embedded store: one folder with an SQLite database and an ANN index."""
