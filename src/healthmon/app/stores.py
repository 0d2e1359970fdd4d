"""Which store the configuration means."""

from __future__ import annotations

from pathlib import Path

from healthmon.config import StoreConfig
from healthmon.model.ports import Store


def open_store(config: StoreConfig, data_dir: Path) -> Store:
    """The embedded store by default; InfluxDB or another line-protocol database by URL."""
    if config.kind == "embedded":
        from healthmon.store.embedded import EmbeddedStore

        return EmbeddedStore(data_dir / "store.sqlite", retention_days=config.retention_days)
    from healthmon.store.influx import InfluxStore

    return InfluxStore(
        config.url or "",
        version=config.version if config.kind == "influxdb" else None,
        database=config.database,
        org=config.org,
        bucket=config.bucket,
        token=config.token,
        username=config.username,
        password=config.password,
    )
