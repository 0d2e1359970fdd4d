"""healthmon: which ward is about to lose which clinical service, and why."""

__version__ = "0.1.0"
