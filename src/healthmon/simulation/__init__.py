"""Rank 2: a hospital made of real sockets on loopback, and faults that happen to it."""
