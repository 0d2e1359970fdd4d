"""From files to a SiteConfig: read, validate, resolve, check, and only then hand out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from healthmon.config.advice import advice
from healthmon.config.blocks import (
    alerting_of,
    broker_of,
    channels_of,
    data_dir_of,
    holidays_of,
    journal_of,
    pair_of,
    push_tokens_of,
    safety_of,
    severity_of,
    store_of,
    waking_of,
    watch_of,
    workers_of,
)
from healthmon.config.care import care_of
from healthmon.config.changes import change_advice, changes_of, reminders_of, site_manager_of
from healthmon.config.document import Document, document_of_text, read_document
from healthmon.config.drills import drills_of
from healthmon.config.inventory import Inventory
from healthmon.config.lines import lines_of
from healthmon.config.listening import listener_of
from healthmon.config.media import media_apart
from healthmon.config.metricadvice import metric_advice
from healthmon.config.oncall import oncall_advice, oncall_of, overrides_of
from healthmon.config.packs import SITE_PACKS, Packs, stock_root
from healthmon.config.probemodules import blackbox_file, probe_modules_of
from healthmon.config.problems import Problems
from healthmon.config.routeadvice import route_advice
from healthmon.config.ruleadvice import rule_advice
from healthmon.config.rules import own_rules, policies_of, rules_of
from healthmon.config.saidadvice import label_advice, said_advice
from healthmon.config.site import SiteConfig
from healthmon.config.texts import catalogues_of
from healthmon.config.traps import traps_of
from healthmon.config.wards import ward_advice, wards_of
from healthmon.config.webblock import web_of
from healthmon.config.written import Written, read_written
from healthmon.config.yamlnodes import DataPath


def load(
    path: Path,
    *,
    env: Mapping[str, str] | None = None,
    pack_dirs: Sequence[Path] = (),
    today: date | None = None,
) -> SiteConfig:
    """Read a file or a directory. Raises ConfigError with every problem as `file:line:col: message`.

    env: for `${NAME}`, default the process environment; pack_dirs: further pack folders, the last wins;
    today: bank holidays are known for the year before, this and the next (None: none are).
    """
    env = os.environ if env is None else env
    problems = Problems()
    document = read_document(path, env=env, problems=problems)
    return _site(document, problems, env=env, pack_dirs=pack_dirs, today=today)


def load_text(
    text: str,
    *,
    name: str = "healthmon.yaml",
    env: Mapping[str, str] | None = None,
    pack_dirs: Sequence[Path] = (),
    today: date | None = None,
) -> SiteConfig:
    """The same for text that stands in no file."""
    env = os.environ if env is None else env
    problems = Problems()
    document = document_of_text(text, name=name, env=env, problems=problems)
    return _site(document, problems, env=env, pack_dirs=pack_dirs, today=today)


def load_document(
    document: Document, problems: Problems, *, pack_dirs: Sequence[Path] = (), env: Mapping[str, str] | None = None
) -> SiteConfig:
    """The same for a part of another document that is a configuration itself (a rule test's site)."""
    return _site(document, problems, env=os.environ if env is None else env, pack_dirs=pack_dirs, today=None)


def _site(
    document: Document,
    problems: Problems,
    *,
    env: Mapping[str, str],
    pack_dirs: Sequence[Path],
    today: date | None,
) -> SiteConfig:
    written = read_written(document, problems)
    packs = Packs([stock_root(), SITE_PACKS, *_own_folders(document, written), *pack_dirs], problems)
    warn: list[tuple[DataPath, str]] = []
    elsewhere: list[str] = []
    estate = Inventory(written, packs, warn).estate()
    data_dir = data_dir_of(written, env)
    catalogues = catalogues_of(packs, problems)
    site = SiteConfig(
        estate=estate,
        safety=safety_of(written),
        broker=broker_of(written),
        store=store_of(written),
        rules=rules_of(written, packs),
        policies=policies_of(written, packs),
        channels=channels_of(written),
        severity=severity_of(packs, problems),
        waking=waking_of(packs, problems),
        alerting=alerting_of(written),
        web=web_of(written, data_dir),
        data_dir=data_dir,
        watch=watch_of(written),
        holidays=holidays_of(written, today),
        oncall=oncall_of(written, estate.teams, today),
        overrides=overrides_of(written),
        drills=drills_of(written),
        changes=changes_of(written),
        site_manager=site_manager_of(written),
        reminders=reminders_of(written),
        files=(*document.files, *blackbox_file(written)),
        text=catalogues.get(written.wards.language, {}),
        catalogues=catalogues,
        wards=wards_of(written, estate, catalogues, packs, problems),
        pack_roots=packs.roots,
        probe_modules=probe_modules_of(written, packs, elsewhere),
        traps=traps_of(written, packs),
        care=care_of(written, packs, estate, warn, problems),
        push_tokens=push_tokens_of(written),
        pair=pair_of(written),
        workers=workers_of(written),
        journal=journal_of(written),
        line_protocol=lines_of(written),
        listener=listener_of(written),
    )
    media_apart(written, site)
    problems.raise_if_any()
    warn.extend(advice(written, estate))
    warn.extend(ward_advice(written, site.wards))
    warn.extend(oncall_advice(written, site, today))
    warn.extend(change_advice(written, site.changes, today))
    warn.extend(route_advice(written, site))
    warn.extend(label_advice(written, site.rules, estate))
    return replace(site, warnings=(*_lines(document, warn), *elsewhere, *_about_rules(site, packs)))


def _own_folders(document: Document, written: Written) -> list[Path]:
    """Where the hospital keeps packs of its own."""
    own = [document.folder(("packs", number)) / name for number, name in enumerate(written.packs)]
    for number, folder in enumerate(own):
        if not folder.is_dir():
            written.validator.problem(("packs", number), f"'{written.packs[number]}' is not a folder")
    return own


def _about_rules(site: SiteConfig, packs: Packs) -> list[str]:
    """What is odd about the hospital's own rules, each line where the rule stands."""
    own = own_rules(packs)
    pushed = site.line_protocol.families if site.line_protocol else {}
    said = [
        *rule_advice(site.rules, site.estate, own=own),
        *metric_advice(site.rules, site.estate, own=own, pushed=frozenset(pushed)),
        *said_advice(site.rules, packs, own=own, pushed=pushed),
    ]
    return [f"{own[_quoted(one)]}: {one}" for one in said]


def _quoted(said: str) -> str:
    """The id of the rule that a line about rules begins with."""
    return said.split("'")[1]


def _lines(document: Document, warn: list[tuple[DataPath, str]]) -> tuple[str, ...]:
    found = Problems()
    for path, message in warn:
        found.add(document.spot(path), message)
    return tuple(found.lines())


def default_site(
    *,
    hostname: str = "this host",
    resolver: str | None = None,
    env: Mapping[str, str] | None = None,
    today: date | None = None,
) -> SiteConfig:
    """What `up` watches without a configuration: this host from inside, and its resolver on TCP port 53.

    resolver: its address; default the first nameserver of /etc/resolv.conf, and none where there is no such file.
    """
    address = resolver or _first_nameserver(Path("/etc/resolv.conf"))
    text = _DEFAULT.format(hostname=hostname) + (_RESOLVER.format(address=address) if address else "")
    return load_text(text, name="(built in)", env=env, today=today)


_DEFAULT = """
organisation: {{id: here, name: This host}}
agents:
  - {{id: local, target: this-host, roles: [linux-server]}}
targets:
  - {{id: this-host, name: "{hostname}", kind: server, address: localhost}}
"""
_RESOLVER = """  - {{id: resolver, kind: dns-server, address: "{address}", checks: [{{kind: tcp, port: 53}}]}}
"""


def _first_nameserver(file: Path) -> str | None:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    servers = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
    return servers[0] if servers else None
