"""Measured beside the peers, in one run. Trust the ratios; absolutes belong to the machine."""
