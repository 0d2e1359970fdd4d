"""`healthmon incidents`: what the API says, as text or JSON."""

from __future__ import annotations

import json
from typing import Any

from healthmon.cli.client import Client
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError

#: Which of the given options each action's body takes (CONTRACT section 3).
BODIES: dict[str, tuple[str, ...]] = {
    "ack": ("by", "note"),
    "own": ("by", "note"),
    "pass": ("by", "to", "note"),
    "unack": ("by",),
    "note": ("by", "text"),
    "mitigate": ("by", "note"),
    "resolve": ("by", "reason", "impact"),
    "reopen": ("by",),
    "merge": ("by", "into"),
    "split": ("by", "members"),
}


def listing(client: Client, *, as_json: bool) -> str:
    """All incidents, one a line."""
    items = client.items("incidents")
    if as_json:
        return json.dumps(items)
    rows = [
        [i["id"], i["state"], i["severity"], i["kind"], i["opened_at"], i["owner"] or "nobody yet", i["title"]]
        for i in items
    ]
    return table(["id", "state", "sev", "kind", "opened", "owner", "title"], rows) if rows else "no incidents"


def shown(client: Client, incident: str, *, as_json: bool) -> str:
    """One incident whole."""
    body = client.get(f"incidents/{incident}")
    return json.dumps(body, indent=2) if as_json else words(body)


def act(client: Client, incident: str, action: str, given: dict[str, Any], *, as_json: bool) -> str:
    """Do one thing to one incident."""
    if action not in BODIES:
        raise ConfigError([f"incidents {action}: no such action (allowed: list, show, {', '.join(BODIES)})"])
    body = {key: given[key] for key in BODIES[action] if given.get(key)}
    answer = client.post(f"incidents/{incident}/{action}", body)
    return (
        json.dumps(answer) if as_json else f"{answer['id']}: {answer['state']}, owner {answer['owner'] or 'nobody yet'}"
    )


def words(incident: dict[str, Any]) -> str:
    """An incident for a person at a terminal."""
    lines = [f"{incident['id']}  severity {incident['severity']}  {incident['state']}", incident["title"], ""]
    lines.append(incident["plain_text"])
    if incident["root"]:
        lines.append(f"root: {incident['root']['target']} ({incident['root']['reason']})")
    lines += [f"  {line['area']:16} {line['service']:16} {line['state']}" for line in incident["impact"]]
    lines += [f"{n}. {step}" for n, step in enumerate(incident.get("first_steps", ()), start=1)]
    lines += case_words(incident)
    lines += ["", *(f"  {e['at']}  {e['text']}  ({e['by']})" for e in incident["timeline"])]
    return "\n".join(lines)


def case_words(incident: dict[str, Any]) -> list[str]:
    """What each area can still do, what contradicts, what is shared, and in what order things can come back."""
    lines = [_ward_words(ward) for ward in incident.get("areas", ())]
    evidence = incident.get("evidence") or {}
    lines += [f"contradiction: {one['text']}" for one in evidence.get("contradictions", ())]
    lines += [f"in common: {one['text']}" for one in evidence.get("in_common", ())[:3]]
    stages = incident.get("restore_order") or []
    if stages:
        lines += ["restore in this order:", *(f"  {n}. {', '.join(ids)}" for n, ids in enumerate(stages, start=1))]
    return lines


def _ward_words(ward: dict[str, Any]) -> str:
    pcs = ward["pcs"]
    unseen = f", {pcs['unknown']} not known" if pcs["unknown"] else ""
    said = [f"{pcs['working']} of {pcs['total']} PCs working{unseen}"]
    said += [f"not possible: {', '.join(ward['functions_lost'])}"] if ward["functions_lost"] else []
    said += [f"slow: {', '.join(ward['functions_slow'])}"] if ward["functions_slow"] else []
    said += [f"seen working from there: {', '.join(one['service'] for one in ward['works'])}"] if ward["works"] else []
    said += [f"not known: {', '.join(ward['not_known'])}"] if ward["not_known"] else []
    return f"  {ward['area']}: {'; '.join(said)}"
