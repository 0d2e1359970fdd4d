"""Shared by all tests: the daemons package is importable, and nothing leaks between tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
