"""Rank 4: composition roots. Here, and only here, the packages meet."""
