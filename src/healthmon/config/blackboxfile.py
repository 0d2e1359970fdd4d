"""A module file of blackbox_exporter, as it is: every key is honoured, or its module is refused with the reason.

Compared with blackbox_exporter's CONFIGURATION.md of July 2026. An unknown key is an error; a module that needs what
healthmon does not do is left out, with a warning, and `GET /probe` says why when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from healthmon.config.blackboxhttp import Refused, Section, http_params, tls_params
from healthmon.config.document import Document
from healthmon.config.kinds import check_kind
from healthmon.config.problems import Problems, allowed
from healthmon.config.scalars import duration_s
from healthmon.config.site import ProbeModule
from healthmon.config.validation import Validator
from healthmon.config.yamlnodes import empty_mapping, parse_nodes

_PROBERS = ("http", "tcp", "dns", "icmp")
_NOT_SPOKEN = ("grpc", "unix", "websocket")
_FAMILY = frozenset({"preferred_ip_protocol", "ip_protocol_fallback"})


@dataclass(slots=True)
class Read:
    """What a file gave; `warnings` are places and words."""

    modules: dict[str, ProbeModule] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def read_blackbox(file: Path, problems: Problems) -> Read:
    """Its modules. Raises OSError; what is wrong is noted with its place in that file."""
    content = file.read_bytes()
    scratch = Problems()
    root = parse_nodes(content, name=str(file), problems=scratch)
    if len(scratch):
        parse_nodes(content, name=str(file), problems=problems)
        return Read()
    data = yaml.safe_load(content)  # without ${ENV}: `${1}` means something else there
    node = root if isinstance(root, yaml.MappingNode) else empty_mapping(str(file))
    validator = Validator(Document(node, (file,), data if isinstance(data, dict) else {}), problems)
    modules = validator.document.data.get("modules")
    if not isinstance(modules, dict):
        validator.problem((), "no modules: this is no module file of blackbox_exporter (allowed: modules)")
        return Read()
    read = Read()
    for name, module in modules.items():
        try:
            made = _module(Section(validator, ("modules", name), module))
        except Refused as refused:
            read.refused[str(name)] = str(refused)
            spot = validator.document.spot(refused.path or ("modules", name))
            read.lines.append(f"{spot}: module '{name}' is not offered: {refused}")
            continue
        if made is not None:
            read.modules[str(name)] = made
    return read


def _module(section: Section) -> ProbeModule | None:
    prober = section.take("prober", str)
    timeout = section.take("timeout", str)
    if prober in _NOT_SPOKEN:
        raise Refused(f"prober {prober} is not spoken here", (*section.path, "prober"))
    if prober not in _PROBERS:
        section.wrong("prober", f"'{prober}' is no prober{allowed(_PROBERS)}")
        return None
    inner = section.inner(prober)
    for other in (*_PROBERS, *_NOT_SPOKEN):
        section.inner(other)  # blackbox_exporter passes over the blocks of other probers
    section.end()
    before = len(section.validator.problems)
    prefer, only = _family(inner)
    params = _READERS[prober](inner)
    inner.end()
    if only:
        params["ip_version"] = prefer
    if len(section.validator.problems) > before:
        return None
    kind = prober
    if kind == "tcp" and params.pop("tls") and "steps" not in params:
        kind = "tls"
    elif kind == "tcp" and section.inner("tcp").take("tls", bool):
        params["tls"] = True
    return _checked(section, kind, params, timeout, prefer)


def _checked(
    section: Section, kind: str, params: dict[str, Any], timeout: str | None, prefer: int
) -> ProbeModule | None:
    known = check_kind(kind)
    try:
        made = known.adapter.validate_python(params)
        limit_s = duration_s(timeout) if timeout else None
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            section.wrong(None, detail["msg"].removeprefix("Value error, "))
        return None
    except ValueError as error:
        section.wrong("timeout", str(error))
        return None
    dumped: dict[str, Any] = known.adapter.dump_python(made, mode="json")
    return ProbeModule(kind, {name: dumped[name] for name in params}, limit_s or None, prefer)


def _family(section: Section) -> tuple[int, bool]:
    """The preferred IP version, and whether it is the only one."""
    preferred = section.take("preferred_ip_protocol", str) or "ip6"
    if preferred not in ("ip4", "ip6"):
        section.wrong("preferred_ip_protocol", f"'{preferred}' is no IP version{allowed(('ip4', 'ip6'))}")
    fallback = section.take("ip_protocol_fallback", bool)
    return 4 if preferred == "ip4" else 6, fallback is False


def _no_source(section: Section) -> None:
    if section.take("source_ip_address", str):
        raise Refused("source_ip_address: the system chooses the way out", (*section.path, "source_ip_address"))


def _tcp(section: Section) -> dict[str, Any]:
    _no_source(section)
    params = {"tls": section.take("tls", bool) or False, **tls_params(section)}
    steps = []
    for number, step in enumerate(section.take("query_response", list) or ()):
        part = Section(section.validator, (*section.path, "query_response", number), step)
        if part.take("labels", list):
            raise Refused("labels: what a server says is not kept", (*part.path, "labels"))
        made = {name: part.take(name, str) for name in ("expect", "expect_bytes")}
        send = part.take("send", (str, bytes))
        made["send_hex" if isinstance(send, bytes) else "send"] = send.hex() if isinstance(send, bytes) else send
        starttls = part.take("starttls", bool) or False
        part.end()
        steps.append({name: value for name, value in made.items() if value} | {"starttls": starttls})
    return {**params, "steps": steps} if steps else params


def _icmp(section: Section) -> dict[str, Any]:
    _no_source(section)
    if section.take("dont_fragment", bool):
        raise Refused("dont_fragment: one socket serves all targets", (*section.path, "dont_fragment"))
    size, ttl = section.take("payload_size", int), section.take("ttl", int)
    return {"count": 1} | ({"size_bytes": size} if size else {}) | ({"hop_limit": ttl} if ttl else {})


def _dns(section: Section) -> dict[str, Any]:
    _no_source(section)
    if section.take("dns_over_tls", bool):
        raise Refused("dns_over_tls: not spoken", (*section.path, "dns_over_tls"))
    section.inner("tls_config")
    if section.take("query_class", str) not in (None, "IN"):
        raise Refused("query_class: only IN is asked", (*section.path, "query_class"))
    for part in ("answer", "authority", "additional"):
        if section.take(f"validate_{part}_rrs", dict):
            where = (*section.path, f"validate_{part}_rrs")
            raise Refused(f"validate_{part}_rrs: write a check of kind dns with answers or answer_regex", where)
    recursive = section.take("recursion_desired", bool)
    return {
        "name": section.take("query_name", str) or "",
        "type": section.take("query_type", str) or "ANY",
        "transport": section.take("transport_protocol", str) or "udp",
        "rcodes": section.take("valid_rcodes", list) or ["NOERROR"],
        "recursive": recursive is not False,
        "min_answers": 0,
    }


_READERS: Mapping[str, Callable[[Section], dict[str, Any]]] = {
    "http": http_params,
    "tcp": _tcp,
    "dns": _dns,
    "icmp": _icmp,
}
