"""Silences and planned changes: which pages are held back, and the floor below which none is."""
