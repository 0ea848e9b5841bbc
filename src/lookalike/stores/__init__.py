"""Store items and vectors."""
