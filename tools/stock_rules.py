"""docs/stock-rules.md: every stock rule with what it asks, its threshold and source, its effect and its runbook."""

# ruff: noqa: E501 - the page is written here as it will stand there

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from healthmon.config.packs import read_pack
from healthmon.config.problems import Problems

ROOT = Path(__file__).parents[1]
RULES = ROOT / "alerting" / "rules"
PAGE = ROOT / "docs" / "stock-rules.md"

HEAD = """\
# Stock rules

Every rule that ships, as `alerting/rules/` has it; this page is generated from there. Each has a story beside it in which it
fires and one in which it must not (`healthmon rules test`). How a rule is written stands in [rules.md](rules.md); a hospital
changes limits by `alerting.overrides` and never the stock file.

Source: **[F]** read in a published source, **[I]** this project's proposal, **[K]** general knowledge; words in capitals
(GSTT22, LABEL) are published outages; `label` in a limit names the label of a target
that moves it.
An early warning about one thing (its certificate, its scope) is one incident, however many rules speak of it.

"""

TAIL = """\
## What other tools have to tell

Some figures no protocol shows to a stranger. A rule waits for them; a job that knows them pushes them
(`POST /api/v1/readings`, a check of kind `push`), an exporter's page is kept by a pack, a contact is wired to a monitor.

| family (label) | fields | who can tell |
|---|---|---|
| `directory` (`partner`) | `replication_age_seconds`, `replication_failures` | a job on one domain controller (`repadmin /showrepl * /csv`, `samba-tool drs showrepl`) |
| `expiry` (`item`) | `left_seconds`, `life_left_ratio` | the tool that holds licences, domains and service accounts |
| `storage` (`volume`) | `latency_seconds`, `busy_ratio`, `queue`; counters by node_exporter and windows_exporter | the array's own API, or the exporters |
| `dhcp_scope` (`scope`) | `used_addresses`, `free_addresses`, `used_ratio` | SNMP pack `ms-dhcp`; elsewhere a job |
| `radius_server` | `requests_total`, `accepts_total`, `rejects_total`, `decided_total` | SNMP pack `radius-server`; FreeRADIUS by a job |
| `generator` | `mains_present`, `running`, `ready`, `fuel_ratio` | the generator's controller, or two contacts |
| `weather` (`place`) | `forecast_celsius`, `outside_celsius` | a job that may ask a weather service, or estates' own station |
| `interface` (`interface`) | [probes.md](probes.md) | the interface engine |

## Not covered, and why

| signal | why not |
|---|---|
| signal-to-noise of a Wi-Fi client; -65 dBm for voice | of signal and noise the language takes one at a time; no device says that it is used for voice |
| weather by itself | healthmon reaches nothing outside the hospital: a job that may pushes `weather` |
| the certificate that laptops see in EAP | the radius check tries no EAP; watch the file with a plugin, or push `expiry` |
| age of a UPS battery | makers give it as a date in their own spelling; the replace sign and the self-test are judged |
| host processes that send to port 445, spread of an attack | that is a security tool's work; `machines-vanish` says what the lost have in common |
| p95 of a synthetic logon over a window, against a baseline | one reading at a time against the same hour's baseline, five in a row |
"""


def main() -> None:
    PAGE.write_text(HEAD + "\n".join(_files()) + "\n" + TAIL, encoding="utf-8")


def _files() -> Iterator[str]:
    for file in sorted(RULES.glob("*.yaml")):
        if file.name.endswith(".test.yaml"):
            continue
        document = read_pack(file, Problems())
        assert document is not None
        pack = document.data
        yield f"## {file.stem}\n\n{pack['description']}\n"
        yield "| rule | of | asks | effect | source | runbook |\n|---|---|---|---|---|---|"
        yield from (_row(rule) for rule in pack["rules"])
        yield ""


def _row(rule: Mapping[str, Any]) -> str:
    runbook = str(rule.get("runbook", ""))
    named = f"[{Path(runbook).stem}](../alerting/{runbook})" if runbook else ""
    cells = (f"`{rule['id']}`", _of(rule["on"]), _asks(rule), str(rule["effect"]), rule.get("source", ""), named)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _of(on: Mapping[str, Any]) -> str:
    parts = ["agents" if on.get("agents") else "", *on.get("probes", ())]
    for key, value in on.items():
        if key not in ("agents", "probes"):
            parts.append(f"{key} {_flow(value)}")
    return ", ".join(part for part in parts if part)


def _asks(rule: Mapping[str, Any]) -> str:
    said = f"`{_flow(rule['condition'])}`"
    more = [f"{rule['confirm']} in a row"] if rule.get("confirm", 1) > 1 else []
    more += [f"for {rule['hold']}"] if rule.get("hold") else []
    return f"{said}{', ' if more else ''}{', '.join(more)}"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {_flow(part)}" if not _nested(part) else f"{key}({_flow(part)})" for key, part in value.items()
        )
    if isinstance(value, list):
        return "; ".join(_flow(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(part, Mapping) for part in value))


main()
