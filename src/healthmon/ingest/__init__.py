"""Rank 2: from batches on the wire to readings for the engine and rows for the store."""
