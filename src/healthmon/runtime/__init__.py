"""Rank 1: async building blocks that know nothing of monitoring."""
