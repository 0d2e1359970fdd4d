"""Identifiers of patients, said in every place where a text fits, are found in no sink."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, Speaker, one_site, reading, speaker
from daemons.paging import Receiver
from healthmon.ingest.identifiers import suspicious
from healthmon.model.sample import Outcome, Reason, Sample
from healthmon.transport import codec

pytestmark = [pytest.mark.wire, pytest.mark.slow]

CORPUS = Path(__file__).parents[1] / "unit" / "ingest" / "test_identifiers.py"


def canaries() -> list[str]:
    """The corpus of the guard's own tests, made up and with its numbers filled in."""
    spec = importlib.util.spec_from_file_location("corpus_of_identifiers", CORPUS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return list(module.corpus("patient_like.txt"))


CANARIES = canaries()
PUSH_TOKEN = "another-tool-0123456789"


@pytest.fixture(scope="module")
def pager() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pager: Receiver) -> Iterator[OneSite]:
    """A site that heard every canary in every place, while one of its services fails."""
    folder = tmp_path_factory.mktemp("privacy")
    channels = {
        "inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")},
        "hook": {"kind": "webhook", "url": pager.url},
    }
    policies = [{"id": "all", "severities": [1, 2, 3, 4, 5], "steps": [{"after": "0s", "channels": list(channels)}]}]
    more = {"notify": {"channels": channels}, "oncall": {"policies": policies}, "push": {"tool": {"token": PUSH_TOKEN}}}
    pushed = [{"id": "srv-icu", "check": {"id": "nightly", "kind": "push", "every": "1d", "from": ["tool"]}}]
    with one_site(folder, placed=True, pushed=pushed, **more) as found:
        until(found.both_seen, timeout_s=20)
        asyncio.run(say_it_all(found))
        found.services["ed"].down()
        until(lambda: found.pages() and pager.posted, timeout_s=40, what="a page on both channels")
        write_it_all(found, found.incidents()[0]["id"])
        until(lambda: found.health()["status"] == "ok", timeout_s=20)
        yield found


async def say_it_all(site: OneSite) -> None:
    async with speaker(site) as agent:
        for text in CANARIES:
            await agent.say(*tainted(text))
            await say_wrongly(agent, text)
        await agent.durable()


def tainted(text: str) -> list[Any]:
    """One reading for each place in a batch that takes a text."""
    failed = {"outcome": Outcome.FAILED, "reason": Reason.BAD_BODY}
    disk = Sample("host_disk", "used_bytes", 1.0, {"mount": text})
    return [
        reading(detail=text),
        reading(target="srv-ed", check="greet", detail=text, **failed),
        reading(samples=(Sample("host_cpu", "utilisation_ratio", text),)),
        reading(samples=(disk,)),
        reading(samples=(Sample("host_disk", "used_bytes", 1.0, {text: "x"}),)),
        reading(samples=(Sample(text, "used_bytes", 1.0),)),
        reading(samples=(Sample("host_cpu", text, 1.0),)),
        reading(target=text),
        reading(check=text),
        reading(vantage=text),
    ]


async def say_wrongly(agent: Speaker, text: str) -> None:
    """Payloads that are refused whole, with the text in the place that is wrong."""
    batch = msgspec.to_builtins(agent.batch())
    agent.seq -= 1
    for wrong in (
        {"agent": text},
        {"epoch": text},
        {"v": text},
        {"readings": [{**batch["readings"][0], "outcome": text}]},
        {"readings": text},
        {text: text, "seq": "one"},
    ):
        await agent.send(json.dumps(batch | wrong))
        await agent.send(msgspec.msgpack.encode(batch | wrong)[:-1])
    await agent.send(text)
    await agent.send(f"patients,name={text} value=1", topic=agent.topic("lp"))
    state = {"agent": agent.agent, "state": text, "epoch": text, "spool": {"note": text}, "v": 1}
    await agent.send(json.dumps(state), topic=agent.topic("state"))
    await agent.send(json.dumps(state | {"v": text}), topic=agent.topic("state"))
    await agent.send(codec.encode(agent.batch(agent=text)))
    agent.seq -= 1


def mute(noun: str, **more: Any) -> dict[str, Any]:
    """The body of a silence or a change with one field said by somebody who should not."""
    body: dict[str, Any] = {"owner": "network", "starts_at": "2037-01-01T10:00:00Z", "ends_at": "2037-01-01T11:00:00Z"}
    own = {"match": {"target": "srv-ed"}, "reason": "noisy"}
    return body | {"by": "Dana"} | (own if noun == "silences" else {"title": "Work", "targets": ["srv-ed"]}) | more


def write_it_all(site: OneSite, id_: str) -> None:
    """As people would, into every field of the API that takes words. None of it is taken, none repeated."""
    for text in CANARIES:
        for path, body in (
            (f"incidents/{id_}/note", {"by": "Dana", "text": text}),
            (f"incidents/{id_}/ack", {"by": "Dana", "note": text}),
            (f"incidents/{id_}/mitigate", {"by": "Dana", "note": text}),
            (f"incidents/{id_}/resolve", {"by": "Dana", "reason": text}),
            (f"incidents/{id_}/resolve", {"by": "Dana", "reason": "mended", "impact": text}),
            ("silences", mute("silences", reason=text)),
            ("silences", mute("silences", match={"target": text})),
            ("silences?preview=true", mute("silences", ends_at=text)),
            ("changes", mute("changes", title=text)),
            ("changes", mute("changes", targets=[text])),
            ("changes", mute("changes", expected=[text])),
            ("changes", mute("changes", source=text)),
            ("changes", mute("changes", timezone=text)),
            *(signed(id_, text) if not is_title_and_name(text) else ()),
        ):
            status, answer = refused(site, path, body)
            assert status == 400, (path, text, answer)
            assert not seen(answer.encode(), text), (path, text)
        report = {"area": "ed", "service": "greet-ed", "effect": "can_wait", "text": text}
        status, answer = refused(site, "reports", report)
        assert status == 200, "a report is never refused; what looks like a patient is dropped from it"
        assert not seen(answer.encode(), text)
        push_it(site, text)


def push_it(site: OneSite, text: str) -> None:
    """As another tool would, into every field of a pushed reading that takes words."""
    plain = {"target": "srv-icu", "check": "nightly", "outcome": "ok"}
    sample = {"family": "push", "field": "age_seconds", "value": 60}
    for wrong in (
        {"detail": text},
        {"target": text},
        {"check": text},
        {"outcome": text},
        {"reason": text},
        {"samples": [sample | {"value": text}]},
        {"samples": [sample | {"field": text}]},
        {"samples": [sample | {"family": text}]},
        {"samples": [sample | {"labels": {"name": text}}]},
        {text: text},
    ):
        body = json.dumps({"readings": [plain | wrong]}).encode()
        request = urllib.request.Request(f"{site.base}/api/v1/readings", body)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {PUSH_TOKEN}")
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        assert answer.status in (200, 400, 422), answer.status
        assert not seen(answer.read(), text), (wrong, text)


def signed(id_: str, text: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Actions signed with the text."""
    return (
        (f"incidents/{id_}/ack", {"by": text}),
        (f"incidents/{id_}/own", {"by": text, "note": "mine"}),
        ("probing/stop", {"by": text}),
    )


def is_title_and_name(text: str) -> bool:
    """Staff sign with these; a signature is no text about a patient."""
    return suspicious(text) == "name" and not any(char.isdigit() for char in text)


def refused(site: OneSite, path: str, body: dict[str, Any]) -> tuple[int, str]:
    try:
        return 200, json.dumps(site.post(path, **body))
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def seen(where: bytes, text: str) -> bool:
    """As it is, or as JSON writes it."""
    return text.encode() in where or json.dumps(text)[1:-1].encode() in where


def found_in(where: bytes) -> list[str]:
    return [text for text in CANARIES if seen(where, text)]


def files_of(site: OneSite) -> list[Path]:
    """All that the server has written, but the broker's own store, which holds messages until they are taken."""
    return [path for path in sorted(site.data.rglob("*")) if path.is_file() and "broker" not in path.parts]


def test_the_corpus_is_what_it_was() -> None:
    assert len(CANARIES) > 80


def test_no_file_holds_one(site: OneSite) -> None:
    names = {path.name for path in files_of(site)}
    assert {"store.sqlite", "journal.sqlite"} <= names
    assert [path for path in files_of(site) if path.parent.name == "quarantine"]
    for path in files_of(site):
        assert found_in(path.read_bytes()) == [], path


def test_no_log_line_holds_one(site: OneSite) -> None:
    log = site.log.read_bytes()
    assert b"payload refused" in log
    assert found_in(log) == []


def test_no_page_holds_one(site: OneSite, pager: Receiver) -> None:
    assert site.pages()
    assert found_in(site.inbox.read_bytes()) == []
    for posted in pager.posted:
        assert found_in(posted.raw) == []


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/", "/targets?all=1", "/ledger"]
    + [f"/api/v1/{name}" for name in ("health", "targets?limit=500", "targets/pc-1", "targets/srv-ed", "alerts")]
    + [f"/api/v1/{name}" for name in ("incidents", "ledger", "agents", "impact", "areas", "services")]
    + ["/api/v1/query?metric=probe.reason&range=600s", "/api/v1/query?metric=host_disk.used_bytes&range=600s"],
)
def test_no_answer_holds_one(path: str, site: OneSite) -> None:
    text = site.page(path)
    assert text
    assert found_in(text.encode()) == []


def test_the_incident_and_its_page_hold_none(site: OneSite) -> None:
    for incident in site.incidents():
        assert found_in(json.dumps(site.get(f"incidents/{incident['id']}")).encode()) == []
        assert found_in(site.page(f"/incident/{incident['id']}").encode()) == []


def test_what_was_dropped_is_counted(site: OneSite) -> None:
    """The readings themselves were taken: a text that is dropped costs no outcome."""
    assert site.metric("healthmon_samples_refused_patient_data_total") > len(CANARIES)
    assert site.metric("healthmon_readings_refused_foreign_vantage_total") >= len(CANARIES)
    assert any(line.startswith("healthmon_patient_data_") for line in site.page("/metrics").splitlines())
