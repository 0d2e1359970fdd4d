"""Topics are spelled in one place and only well-formed ones are ours."""

from __future__ import annotations

import pytest

from healthmon.transport import topics


@pytest.mark.parametrize("kind", ["batch", "lp", "state", "ack", "ask"])
def test_what_is_written_is_read_back(kind: str) -> None:
    assert topics.parse(getattr(topics, kind)("st-elsewhere", "pc_w7-01")) == ("st-elsewhere", "pc_w7-01", kind)


@pytest.mark.parametrize(
    "topic",
    [
        "healthmon/v1/site/agent",
        "healthmon/v1/site/agent/batch/more",
        "healthmon/v1/site/agent/batch\n",
        "healthmon/v2/site/agent/batch",
        "healthmon/v1/site/agent/config",
        "healthmon/v1/site//batch",
        "healthmon/v1/Site/agent/batch",
        "healthmon/v1/site/a.b/batch",
        "healthmon/v1/site/" + "a" * 64 + "/batch",
        "/healthmon/v1/site/agent/batch",
        "",
    ],
)
def test_foreign_topics_are_none(topic: str) -> None:
    assert topics.parse(topic) is None


def test_the_filter_of_a_kind_names_every_agent() -> None:
    assert topics.every("main", "batch") == "healthmon/v1/main/+/batch"
