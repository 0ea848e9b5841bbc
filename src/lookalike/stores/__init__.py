"""Where items and vectors are kept."""
