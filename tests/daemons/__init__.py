"""Real daemons on loopback, started by tests and ended with them."""
