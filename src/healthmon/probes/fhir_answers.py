"""What is read of a FHIR answer: a handful of coded elements. Everything else never becomes an object here."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

#: Codes that may be shown. Whatever else stands in their place is text, and text may be about a person.
SEVERITIES = frozenset({"fatal", "error", "warning", "information", "success"})
ISSUE_CODES = frozenset(
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly "
    "business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational "
    "success limited-filter".split()
)
STATUSES = ("active", "draft", "retired", "unknown")
VERSIONS = ("0.5.0", "1.0.2", "3.0.1", "3.0.2", "4.0.0", "4.0.1", "4.1.0", "4.3.0", "5.0.0")


class Capability(msgspec.Struct):
    """Of a CapabilityStatement."""

    resourceType: str = ""
    status: str = ""
    fhirVersion: str = ""


class Found(msgspec.Struct):
    """Of a search: how many, never what."""

    resourceType: str = ""
    type: str = ""
    total: int | None = None


class Resource(msgspec.Struct):
    """Of a resource: which one it is."""

    resourceType: str = ""
    id: str = ""


class Issue(msgspec.Struct):
    """Of an issue: no text, no diagnostics, no expression."""

    severity: str = ""
    code: str = ""


class Outcome(msgspec.Struct):
    """Of an OperationOutcome."""

    resourceType: str = ""
    issue: list[Issue] = []


A = TypeVar("A", Capability, Found, Resource)


def decode(body: bytes, kind: type[A], wanted: str) -> A:
    """The elements of a resource of type `wanted`. Raises Finding(bad_body) that repeats nothing of the body."""
    try:
        answer = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Finding(Reason.BAD_BODY, "the body is not a FHIR resource in JSON") from None
    if answer.resourceType != wanted:
        issue = first_issue(body)
        what = f"an OperationOutcome ({issue.severity}, {issue.code})" if issue else "another resource"
        raise Finding(Reason.BAD_BODY, f"{what} instead of a {wanted}")
    return answer


def first_issue(body: bytes) -> Issue | None:
    """Severity and code of an OperationOutcome's first issue, codes of the standard only; None when it is none."""
    try:
        outcome = msgspec.json.decode(body, type=Outcome)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if outcome.resourceType != "OperationOutcome" or not outcome.issue:
        return None
    issue = outcome.issue[0]
    return Issue(
        issue.severity if issue.severity in SEVERITIES else "other",
        issue.code if issue.code in ISSUE_CODES else "other",
    )
