"""Range checks that the Params of many kinds share; each raises ValueError with what is allowed."""

from __future__ import annotations

from healthmon.probes.connect import TLS_VERSIONS


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Both ends are allowed."""
    if not low <= value <= high:
        raise ValueError(f"{name}: {value:g} (allowed: {low:g} to {high:g})")


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """One of these words."""
    if value not in allowed:
        raise ValueError(f"{name}: {value} (allowed: {', '.join(allowed)})")


def check_network(port: int | None, ip_version: int, min_version: str = "1.2") -> None:
    """Port, IP version and TLS version of a check."""
    if port is not None:
        check_range("port", port, 1, 65535)
    if ip_version not in (0, 4, 6):
        raise ValueError(f"ip_version: {ip_version} (allowed: 0 for both, 4, 6)")
    check_choice("min_version", min_version, TLS_VERSIONS)
