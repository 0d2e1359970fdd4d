"""Rank 2: time series kept in an embedded file or in a database that speaks line protocol."""
