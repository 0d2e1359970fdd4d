"""Rank 3: what a hospital wrote, parsed whole and checked before anything live is touched."""

from healthmon.config.loading import default_site, load
from healthmon.config.packlint import lint_packs
from healthmon.config.packs import stock_root
from healthmon.config.plans import plan_for, plan_to_json, poller_plan
from healthmon.config.schema import json_schema
from healthmon.config.single import job_for
from healthmon.config.site import (
    AlertingConfig,
    ChannelConfig,
    SiteConfig,
    StoreConfig,
    WatchConfig,
    WebConfig,
    WorkersConfig,
)

__all__ = [
    "AlertingConfig",
    "ChannelConfig",
    "SiteConfig",
    "StoreConfig",
    "WatchConfig",
    "WebConfig",
    "WorkersConfig",
    "default_site",
    "job_for",
    "json_schema",
    "lint_packs",
    "load",
    "plan_for",
    "plan_to_json",
    "poller_plan",
    "stock_root",
]
