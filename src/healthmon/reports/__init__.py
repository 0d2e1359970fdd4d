"""Rank 2: what was, for people who answer for it: service health check, standards, readiness. Pure."""
