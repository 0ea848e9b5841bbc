"""Images into a store: plan what to do, then read, decode, encode and store."""
