"""The blocks beside the inventory: broker, store, safety, channels, web and the rest."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from healthmon.alerting.notify import KEEPS_RECORDS
from healthmon.alerting.oncall.waking import DEFAULT_WAKING, Waking, parse_waking
from healthmon.config.checks import beside, read_params, read_secret
from healthmon.config.fileforms import EmbeddedStoreForm
from healthmon.config.kinds import channel_kind, channel_names
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.site import (
    AlertingConfig,
    ChannelConfig,
    JournalConfig,
    PairConfig,
    StoreConfig,
    WatchConfig,
    WorkersConfig,
)
from healthmon.config.validation import Validator
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.impact.severity import SeverityTable
from healthmon.model.plan import Broker, MedicalAllow, MedicalNetwork, Rates, Safety

#: A shorter secret is guessed.
_TOKEN_LEAST = 16


def data_dir_of(written: Written, env: Mapping[str, str]) -> Path:
    """As written, else $HEALTHMON_DATA_DIR, else /var/lib/healthmon for root and the user's state folder for others."""
    if written.data_dir is not None:
        return beside(written.document, ("data_dir",), written.data_dir)
    if env.get("HEALTHMON_DATA_DIR"):
        return Path(env["HEALTHMON_DATA_DIR"])
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/healthmon")
    state = env.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "healthmon"


def secret_of(written: Written, form: Any, name: str, path: DataPath) -> str | None:
    """`name`, or the content of `name_file`; both together are a mistake."""
    value: str | None = getattr(form, name)
    file: str | None = getattr(form, f"{name}_file")
    if file is None:
        return value
    if value is not None:
        written.validator.problem((*path, f"{name}_file"), f"give `{name}` or `{name}_file`, not both")
    return read_secret(written.document, (*path, f"{name}_file"), file, written.validator)


def broker_of(written: Written) -> Broker | None:
    """None means the embedded one."""
    form = written.broker
    if form is None or not form.url:
        return None
    if not all(one.strip().startswith(("mqtt://", "mqtts://")) for one in form.url.split(",")):
        written.validator.problem(("broker", "url"), "unknown scheme (allowed: mqtt://, mqtts://)")
    return Broker(form.url, form.username, secret_of(written, form, "password", ("broker",)), _ca_of(written, "broker"))


def _ca_of(written: Written, block: str) -> str | None:
    """The authority that this block trusts; None: those of the system."""
    ca_file: str | None = getattr(written, block).ca_file
    return str(beside(written.document, (block, "ca_file"), ca_file)) if ca_file else None


def _nats_urls(written: Written, path: tuple[str, str], urls: str) -> None:
    if not all(one.strip().startswith(("nats://", "tls://")) for one in urls.split(",")):
        written.validator.problem(path, "unknown scheme (allowed: nats://, tls://)")


def pair_of(written: Written) -> PairConfig | None:
    """None: one server."""
    form, problem = written.ha, written.validator.problem
    if form is None:
        return None
    if written.broker is None or written.broker.url is None:
        problem(("ha",), "needs `broker.url`: two servers cannot share an embedded broker")
    _nats_urls(written, ("ha", "lease"), form.lease)
    if not 2.0 <= form.life <= 30.0:
        problem(("ha", "life"), f"{form.life:g} s is out of range (allowed: 2s to 30s)")
    name = form.name or socket.gethostname()
    password = secret_of(written, form, "password", ("ha",))
    return PairConfig(form.lease, name, form.life, form.username, password, _ca_of(written, "ha"))


def journal_of(written: Written) -> JournalConfig | None:
    """None: the journal is on the server's disk alone."""
    form = written.journal
    if form is None:
        return None
    _nats_urls(written, ("journal", "line"), form.line)
    password = secret_of(written, form, "password", ("journal",))
    return JournalConfig(form.line, form.username, password, _ca_of(written, "journal"))


def workers_of(written: Written) -> WorkersConfig | None:
    """None: the server takes the batches itself."""
    form, problem = written.workers, written.validator.problem
    if form is None:
        return None
    if written.broker is None or written.broker.url is None:
        problem(("workers",), "needs `broker.url`: the cluster of nats-servers that agents speak to")
    if written.store.influxdb is None and written.store.lineprotocol is None:
        problem(("workers",), "needs `store.influxdb` or `store.lineprotocol`: several processes cannot share a file")
    _nats_urls(written, ("workers", "line"), form.line)
    password = secret_of(written, form, "password", ("workers",))
    return WorkersConfig(form.line, form.username, password, form.detection, _ca_of(written, "workers"))


def store_of(written: Written) -> StoreConfig:
    """Exactly one kind."""
    form = written.store
    given = [name for name in ("embedded", "influxdb", "lineprotocol") if getattr(form, name) is not None]
    if len(given) > 1:
        written.validator.problem(("store",), f"has {len(given)} kinds; give one{allowed(given)}")
    if form.influxdb is not None:
        return _influx(written)
    if form.lineprotocol is not None:
        line, path = form.lineprotocol, ("store", "lineprotocol")
        return StoreConfig("lineprotocol", url=line.url, token=secret_of(written, line, "token", path))
    embedded = form.embedded or EmbeddedStoreForm()
    return StoreConfig(
        "embedded",
        retention_days=embedded.retention / 86400.0,
        minutes_days=embedded.minutes / 86400.0,
        hours_days=embedded.hours / 86400.0,
        endpoint_days=embedded.endpoints / 86400.0,
        endpoint_kinds=frozenset(embedded.endpoint_kinds),
    )


def _influx(written: Written) -> StoreConfig:
    form, path = written.store.influxdb, ("store", "influxdb")
    assert form is not None
    if form.version == 2 and form.org is None:
        written.validator.problem(path, "key 'org' is missing (needed by version 2)")
    return StoreConfig(
        "influxdb",
        url=form.url,
        version=form.version,
        org=form.org,
        bucket=form.bucket,
        database=form.database or form.bucket,
        token=secret_of(written, form, "token", path),
        username=form.username,
        password=secret_of(written, form, "password", path),
        retention_days=form.retention / 86400.0,
        minutes_days=form.minutes / 86400.0,
        hours_days=form.hours / 86400.0,
    )


def push_tokens_of(written: Written) -> dict[str, str]:
    """The secret of each source that may push readings."""
    tokens: dict[str, str] = {}
    for name, placed in written.push.items():
        token = secret_of(written, placed.form, "token", placed.path) or ""
        if token.strip() in tokens.values():
            written.validator.problem(placed.path, f"'{name}' has the token of another source")
        if len(token.strip()) < _TOKEN_LEAST:
            message = f"'{name}' needs `token` or `token_file` with at least {_TOKEN_LEAST} characters"
            written.validator.problem(placed.path, message)
        tokens[name] = token.strip()
    return tokens


def safety_of(written: Written) -> Safety:
    """The safety block of the model."""
    form = written.safety
    medical = tuple(
        MedicalNetwork(
            network.cidr,
            tuple(MedicalAllow(allow.kind, allow.approved_by, allow.approved_on) for allow in network.allow),
            network.every,
        )
        for network in form.medical
    )
    rates = Rates(form.rates.per_target, form.rates.per_subnet, form.rates.everywhere)
    return Safety(tuple(form.deny), medical, rates)


def channels_of(written: Written) -> dict[str, ChannelConfig]:
    """Every channel with its parameters validated by its kind."""
    channels: dict[str, ChannelConfig] = {}
    for name, placed in written.channels.items():
        form, path = placed.form, placed.path
        own = dict(form.model_extra or {})
        if form.kind not in channel_names():
            names = channel_names()
            message = f"unknown channel kind '{form.kind}'{did_you_mean(form.kind, names)}{allowed(names)}"
            written.validator.problem((*path, "kind"), message)
            continue
        if isinstance(own.get("path"), str):
            own["path"] = str(beside(written.document, (*path, "path"), own["path"]))
        params = read_params(channel_kind(form.kind), own, path, written.validator, defaults={})
        secret = secret_of(written, form, "reply_secret", path)
        if secret is not None and len(secret.strip()) < _TOKEN_LEAST:
            written.validator.problem(path, f"'{name}' needs a reply secret with at least {_TOKEN_LEAST} characters")
        fields = {str(key): value for key, value in form.reply_fields.items()}
        channels[name] = ChannelConfig(
            name, form.kind, params or {}, tuple(form.via), form.most_per_minute, form.audience, form.fallback, secret,
            fields,
        )  # fmt: skip
    for name, placed in written.channels.items():
        if placed.form.fallback is not None and placed.form.kind in KEEPS_RECORDS:
            said = f"'{name}' keeps a record of each incident: nobody else is told in its place"
            written.validator.problem((*placed.path, "fallback"), said)
        _fallback_leads_somewhere(written, name, placed.form.fallback, (*placed.path, "fallback"))
    return channels


def _fallback_leads_somewhere(written: Written, name: str, fallback: str | None, path: DataPath) -> None:
    seen, known = [name], set(written.channels)
    while fallback is not None:
        if fallback not in known:
            if len(seen) == 1:  # further on it is said where it stands
                said = f"unknown channel '{fallback}'{did_you_mean(fallback, known)}{allowed(known)}"
                written.validator.problem(path, said)
            return
        if fallback in seen:
            written.validator.problem(path, f"leads back to '{fallback}': {' -> '.join([*seen, fallback])}")
            return
        seen.append(fallback)
        fallback = written.channels[fallback].form.fallback


def severity_of(packs: Packs, problems: Problems) -> SeverityTable:
    """The table impact x urgency of alerting/severity/default.yaml."""
    document = packs.document("alerting/severity/default.yaml")
    if document is None:
        return SeverityTable()
    validator = Validator(document, problems)
    known = {one.name for one in dataclasses.fields(SeverityTable)} | {"description"}
    data = dict(document.data)
    for name in [name for name in data if name not in known]:
        validator.problem((name,), f"unknown key{did_you_mean(name, known)}{allowed(known)}", key=True)
        data.pop(name)
    data.pop("description", None)
    table: SeverityTable | None = validator.one(SeverityTable, (), data)
    return table or SeverityTable()


def waking_of(packs: Packs, problems: Problems) -> Waking:
    """The table of who is woken when, of alerting/waking/default.yaml."""
    document = packs.document("alerting/waking/default.yaml")
    if document is None:
        return DEFAULT_WAKING
    try:
        return parse_waking(document.data)
    except KeyError as error:
        problems.add(document.spot(()), f"key {error} is missing")
    except (ValueError, TypeError, AttributeError) as error:
        word = str(error).partition(":")[0].split(".")[0]
        problems.add(document.spot((word,) if word in document.data else ()), str(error))
    return DEFAULT_WAKING


def alerting_of(written: Written) -> AlertingConfig:
    """Modes by place and by rule."""
    form = written.alerting
    sites = written.raw_ids("sites") | {placed.form.id for placed in written.sites}
    sites = sites or {written.organisation.id}
    for key, places, known in (
        ("sites", form.overrides.sites, sites),
        ("areas", form.overrides.areas, written.raw_ids("areas")),
    ):
        for name in places:
            if name not in known:
                path = ("alerting", "overrides", key, name)
                written.validator.problem(path, f"unknown {key[:-1]}{did_you_mean(name, known)}", key=True)
    return AlertingConfig(
        mode=form.mode,
        site_modes={name: place.mode for name, place in form.overrides.sites.items() if place.mode},
        area_modes={name: place.mode for name, place in form.overrides.areas.items() if place.mode},
        rule_modes={name: rule.mode for name, rule in form.overrides.rules.items() if rule.mode},
    )


def watch_of(written: Written) -> WatchConfig | None:
    """What the watchdog watches."""
    form = written.watch
    if form is None:
        return None
    channels_known(written, form.channels, ("notify", "watch", "channels"))
    return WatchConfig(form.url, form.every, tuple(form.channels), form.name)


def channels_known(written: Written, names: list[str], path: DataPath) -> None:
    """Say of each name that no channel has."""
    for number, name in enumerate(names):
        if name not in written.channels:
            known = set(written.channels)
            written.validator.problem(
                (*path, number), f"unknown channel '{name}'{did_you_mean(name, known)}{allowed(known)}"
            )


def holidays_of(written: Written, today: date | None) -> frozenset[date]:
    """Bank holidays of the organisation: the year before, this and the next."""
    return holidays_in(written, written.organisation.holidays, ("organisation", "holidays"), today)


def holidays_in(written: Written, code: str | None, path: DataPath, today: date | None) -> frozenset[date]:
    """Bank holidays of a nation (`GB-ENG`), the year before, this and the next."""
    if code is None:
        return frozenset()
    import holidays  # 0.3 s, and only sites with holidays need it

    country, _, subdivision = code.partition("-")
    supported = holidays.list_supported_countries(include_aliases=True)
    if country not in supported:
        written.validator.problem(path, f"unknown country '{country}'{did_you_mean(country, list(supported))}")
        return frozenset()
    if subdivision and subdivision not in supported[country]:
        written.validator.problem(path, f"unknown part '{subdivision}' of {country}{allowed(supported[country])}")
        return frozenset()
    if today is None:
        return frozenset()
    years = (today.year - 1, today.year, today.year + 1)
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=years))
