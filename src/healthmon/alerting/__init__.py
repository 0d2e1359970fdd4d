"""Rank 2: rules, incidents, escalation, notices and the journal that makes a restart silent."""
