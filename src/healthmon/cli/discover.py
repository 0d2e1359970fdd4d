"""`healthmon discover`: the sweep, its progress, and the difference as YAML to review."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from healthmon.app.difference import Difference, NewTarget, difference
from healthmon.app.discovery import TCP_PORTS, Sweep, Swept, inventory_of, network_of
from healthmon.app.neighbours import Link, links_of
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Safety
from healthmon.runtime.clock import SystemClock

#: 0: every address was asked; 1: ended early; 3: none could be looked at.
DONE, CUT_SHORT, NOTHING = 0, 1, 3
PROGRESS_EVERY_S = 2.0
KEPT_AT_ONCE = 1_000


def credentials(
    site: Any, *, like: str | None, community: str | None, community_file: Path | None, params: list[str]
) -> dict[str, Any] | None:
    """The parameters of an SNMP check, from a configured target or as given; None when nothing was given."""
    from healthmon.config import job_for

    if like is not None:
        return _of_target(site, like)
    given: dict[str, str] = {}
    for pair in params:
        key, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError([f"--param {pair}: expected key=value"])
        given[key] = value
    if community_file is not None:
        try:
            community = community_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError([f"--community-file {community_file}: {error.strerror}"]) from error
    if community is not None:
        given["community"] = json.dumps(community)
    return job_for("snmp", target="discover", address="192.0.2.1", params=given).params if given else None


def _of_target(site: Any, like: str) -> dict[str, Any]:
    target = site.estate.targets.get(like) if site is not None else None
    if target is None:
        raise ConfigError([f"--like {like}: no such target in the configuration"])
    for check in target.checks:
        if check.kind == "snmp":
            return dict(check.params)
    raise ConfigError([f"--like {like}: this target has no SNMP check whose credentials could be used"])


async def discover(
    site: Any,
    cidr: str,
    *,
    params: Mapping[str, Any] | None,
    rate_hz: float,
    quiet: bool,
    as_json: bool,
    tcp: bool = False,
) -> tuple[str, int, list[Link]]:
    """The difference as text, the exit code, and every link by the ids of its ends."""
    clock = SystemClock()
    network = network_of(cidr)
    sweep = Sweep(
        site.safety if site else Safety(),
        clock=clock,
        stop_file=site.data_dir / "stop-probing" if site else None,
        params=params,
        rate_hz=rate_hz,
        tcp=tcp,
        progress=None if quiet else _Progress(str(network), clock.mono),
    )
    inventory = await inventory_of(site, sweep.guard, cidr)
    swept = await sweep.run(cidr)
    devices = list(swept.found.values())
    links = links_of(devices)
    found = difference(inventory, devices, links, silent=swept.silent)
    report = as_data(swept, found)
    text = json.dumps(report) if as_json else as_yaml(swept, report)
    looked = len(swept.found) + len(swept.silent)
    code = CUT_SHORT if swept.stopped else DONE if looked or not swept.addresses else NOTHING
    return text, code, [named(link, found.ids) for link in links]


def named(link: Link, ids: Mapping[str, str]) -> Link:
    """The link with ids of targets, known or proposed, in the place of addresses."""
    other = ids.get(link.other, link.other) or link.other_name
    seen_by = tuple(ids.get(ip, ip) for ip in link.seen_by)
    leaf = ids.get(link.leaf, link.leaf)
    return replace(link, one=ids.get(link.one, link.one), other=other, seen_by=seen_by, leaf=leaf, other_name="")


def keep_links(site: Any, links: list[Link]) -> None:
    """Hand the links to the running server, in portions."""
    from healthmon.cli.client import Client

    client, kept = Client.of(site, None), 0
    for start in range(0, len(links), KEPT_AT_ONCE):
        part = [asdict(link) for link in links[start : start + KEPT_AT_ONCE]]
        kept += client.post("links", {"links": part})["kept"]
    print(f"discover: the server keeps {kept} of {len(links)} links", file=sys.stderr, flush=True)


def as_data(swept: Swept, found: Difference) -> dict[str, Any]:
    """Plain data; empty sections stay, so that a script finds them."""
    return {
        "sweep": {
            "network": swept.network,
            "addresses": swept.addresses,
            "answered": len(swept.found),
            "silent": len(swept.silent),
            "not_looked_at": swept.reasons(),
            "complete": not swept.stopped,
            "silent_tried_by_tcp": swept.tcp,
        },
        "new": [_new(one) for one in found.new],
        "missing": [{"target": one.id, "addresses": list(one.ips), "why": "no answer"} for one in found.missing],
        "moved": [
            {"target": one.target, "was": list(one.was), "now": one.now, "because": one.because} for one in found.moved
        ],
        "proposed_needs": [
            {"target": one.target, "needs": [one.needs],
             "from": {"source": one.source, "seen_by": [found.ids.get(ip, ip) for ip in one.seen_by],
                      "port": one.port, **({"mac": one.mac} if one.mac else {})}}
            for one in found.needs
        ],
        "links": [_link(link, found.ids) for link in found.links],
        "not_looked_at": list(found.not_looked_at),
    }  # fmt: skip


def _new(one: NewTarget) -> dict[str, Any]:
    device = one.found
    checks: list[Any] = [{"kind": "tcp", "port": int(device.by[4:])} if device.by.startswith("tcp ") else "icmp"]
    if device.identified:
        checks.append({"kind": "snmp", "pack": "auto"})
    facts = {
        "answers": device.by,
        "sysName": device.name,
        "sysDescr": device.descr,
        "sysObjectID": device.object_id,
        "trouble": device.trouble,
    }
    kind = "switch" if device.bridges else "device"
    target = {"id": one.id, "kind": kind, "address": device.ip, "checks": checks}
    return {"target": target, "found": {name: value for name, value in facts.items() if value}}


def _link(link: Link, ids: Mapping[str, str]) -> dict[str, Any]:
    ends = [
        {"target": ids.get(link.one, link.one), "port": link.one_port},
        {"target": ids.get(link.other, link.other) or link.other_name, "port": link.other_port},
    ]
    return {
        "between": [{name: value for name, value in end.items() if value} for end in ends],
        "source": link.source,
        "seen_by": [ids.get(ip, ip) for ip in link.seen_by],
    }


def as_yaml(swept: Swept, report: dict[str, Any]) -> str:
    """For people: what was done in comments, then every section that has something."""
    import yaml

    left = ", ".join(f"{number} {reason}" for reason, number in sorted(swept.reasons().items()))
    head = [
        f"# healthmon discover {swept.network}: {len(swept.found)} of {swept.addresses} addresses answered, "
        f"{len(swept.silent)} were silent, in {swept.took_s:.0f} s" + (f"; not looked at: {left}" if left else ""),
        "# Nothing was changed. Review it, and copy what is right into the inventory.",
    ]
    if swept.tcp:
        head.append(f"# What was silent to an echo was tried by TCP to {', '.join(map(str, TCP_PORTS))} as well.")
    if swept.stopped:
        head.append("# ENDED EARLY: probing was stopped. What is not below may still be there.")
    sections = {name: part for name, part in report.items() if part and name != "sweep"}
    if not sections:
        return "\n".join([*head, "# No difference from the inventory."])
    notes = {"links": "# links: seen, and no table says who needs whom; a ring is normal. You decide."}
    body = [
        (notes[name] + "\n" if name in notes else "") + yaml.safe_dump({name: part}, sort_keys=False, width=110)
        for name, part in sections.items()
    ]
    return "\n".join([*head, *body]).rstrip()


class _Progress:
    """A line on stderr now and then."""

    def __init__(self, network: str, mono: Any) -> None:
        self._network = network
        self._mono = mono
        self._said = mono()

    def __call__(self, done: int, of: int, found: int) -> None:
        if done < of and self._mono() - self._said < PROGRESS_EVERY_S:
            return
        self._said = self._mono()
        print(f"discover {self._network}: {done} of {of} looked at, {found} answered", file=sys.stderr, flush=True)
