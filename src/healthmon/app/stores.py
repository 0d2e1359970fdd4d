"""Which store the configuration means."""

from __future__ import annotations

from pathlib import Path

from healthmon.config import StoreConfig
from healthmon.model.ports import Store


def open_store(config: StoreConfig, data_dir: Path) -> Store:
    """The embedded store by default; InfluxDB or another line-protocol database by URL."""
    if config.kind == "embedded":
        from healthmon.store.embedded import EmbeddedStore
        from healthmon.store.upkeep import Retention

        retention = Retention(
            config.retention_days, config.minutes_days, config.hours_days, config.endpoint_days, config.endpoint_kinds
        )
        return EmbeddedStore(data_dir / "store.sqlite", retention=retention)
    from healthmon.store.influx import InfluxStore
    from healthmon.store.tending import Keep

    return InfluxStore(
        config.url or "",
        version=config.version if config.kind == "influxdb" else None,
        database=config.database,
        org=config.org,
        bucket=config.bucket,
        token=config.token,
        username=config.username,
        password=config.password,
        keep=Keep(config.retention_days, config.minutes_days, config.hours_days),
    )
