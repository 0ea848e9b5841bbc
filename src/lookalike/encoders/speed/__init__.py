"""How fast an encoder runs on this machine in each way, and which way is remembered for it."""
