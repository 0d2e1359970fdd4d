"""DNS: ask one name server one question and judge code, flags and answers. dnspython packs and unpacks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Family, Reading, Reason, Value
from healthmon.probes.address import host_port
from healthmon.probes.connect import dial, of_version
from healthmon.probes.datagram import ask
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.param_checks import check_choice, check_network, check_range
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within

if TYPE_CHECKING:  # half a megabyte that only a poller with DNS checks loads
    from dns.message import Message

FAMILIES = (
    Family(
        "dns",
        frozenset(
            {"dns_seconds", "connect_seconds", "answer_seconds", "duration_seconds"}
            | {"rcode", "answers", "min_ttl_seconds", "authoritative", "authenticated", "over_tcp", "soa_serial"}
            | {"authority_records", "additional_records"}
        ),
    ),
)

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA", "SVCB", "HTTPS", "DNSKEY", "DS", "ANY")
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
#: What fits everywhere without fragments (the DNS flag day of 2020).
_UDP_BYTES = 1232


@dataclass(frozen=True, slots=True)
class Params:
    """The question, and the answer that is right. A PTR question takes the address itself as `name`.

    Every text of `answers` must be among the answers (with `only`, and no other); `answer_regex` must match one.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    type: str = "A"
    port: int | None = None
    transport: str = "udp"
    rcodes: tuple[str, ...] = ("NOERROR",)
    answers: tuple[str, ...] = ()
    only: bool = False
    answer_regex: str | None = None
    min_answers: int | None = None
    recursive: bool = True
    authoritative: bool = False
    authenticated: bool = False
    tries: int = 2
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version)
        check_choice("type", self.type, TYPES)
        check_choice("transport", self.transport, ("udp", "tcp"))
        check_range("tries", self.tries, 1, 5)
        if not self.rcodes:
            raise ValueError(f"rcodes: none (allowed: {', '.join(RCODES)})")
        for rcode in self.rcodes:
            check_choice("rcodes", rcode, RCODES)
        check_patterns(answer_regex=self.answer_regex)
        if self.only and not self.answers:
            raise ValueError("only: needs answers")

    @property
    def fewest(self) -> int:
        """Answers that must come: one, unless an error code is what is expected."""
        if self.min_answers is not None:
            return self.min_answers
        return 1 if "NOERROR" in self.rcodes else 0


class DnsProbe:
    """One question; a truncated answer is asked for again by TCP."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_status (the code), bad_body (the answers), bad_response, timeout, refused ..."""
        params = self._settings.of(job)
        question = Question(params, Phases(sight), sight)
        look = Look(job, sight)
        try:
            answer = await question.put(job)
            question.fields |= measured(answer)
            judge(answer, params)
        except (OSError, HealthmonError) as error:
            fault = question.phases.fault_of(error, job.timeout_s)
            return look.bad(fault, question.samples())
        return look.ok(question.samples())


class Question:
    """One run: the query, the two ways to put it, and what is known so far."""

    def __init__(self, params: Params, phases: Phases, sight: Sight) -> None:
        self.phases = phases
        self.fields: dict[str, Value] = {}
        self._params = params
        self._sight = sight
        self._query = query_of(params)
        self._wire = self._query.to_wire()

    def samples(self) -> list[Any]:
        """Everything known so far."""
        return list(samples_of("dns", {**self.phases.fields(), **self.fields}))

    async def put(self, job: Job) -> Message:
        """The answer by UDP, or by TCP when that is wished or needed. Raises OSError, Finding."""
        params = self._params
        addresses = await self._resolve(job)
        if params.transport == "udp":
            self.phases.enter("answer")
            left_s = self._left_s(job)
            clock = self._sight.clock
            answer = await ask(
                addresses, lambda: self._wire, self._accept, limit_s=left_s, tries=params.tries, clock=clock
            )
            if not _truncated(answer) or addresses[0].gentle:
                return answer
            self._sight.trace("truncated: asking again by TCP")
            addresses = await self._resolve(job)
        return await self._by_tcp(addresses, self._left_s(job))

    def _left_s(self, job: Job) -> float:
        return max(0.01, job.timeout_s - self.phases.total_s())

    async def _resolve(self, job: Job) -> Sequence[Address]:
        self.phases.enter("dns")
        host, port = host_port(job.address, 53)
        return of_version(await self._sight.resolve(host, self._params.port or port), self._params.ip_version)

    def _accept(self, wire: bytes) -> Message | None:
        """None for what is not the answer to this question: late, forged or garbage."""
        answer = parse(wire)
        if answer is None or not self._query.is_response(answer):
            self._sight.trace(f"{len(wire)} bytes that do not answer the question")
            return None
        return answer

    async def _by_tcp(self, addresses: Sequence[Address], left_s: float) -> Message:
        async with within(left_s, self._sight.clock):
            self.phases.enter("connect")
            sock, _ = await dial(addresses, left_s, self._sight.clock)
            self.phases.enter("answer")
            with sock:
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, len(self._wire).to_bytes(2, "big") + self._wire)
                size = int.from_bytes(await _exactly(sock, 2), "big")
                answer = self._accept(await _exactly(sock, size))
        if answer is None:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not DNS, or to another question")
        self.fields["over_tcp"] = True
        return answer


async def _exactly(sock: Any, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = await asyncio.get_running_loop().sock_recv(sock, size - len(got))
        if not more:
            raise Finding(Reason.CLOSED, "closed in the middle of an answer" if got else "closed unanswered")
        got += more
    return got


def query_of(params: Params) -> Message:
    """The question as a message with EDNS. Raises Finding(no_library, bad_params)."""
    try:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.reversename
    except ImportError:
        raise Finding(Reason.NO_LIBRARY, "dnspython is not installed: pip install 'healthmon[dns]'") from None
    name: Any = params.name
    try:
        if params.type == "PTR" and re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", name):
            name = dns.reversename.from_address(name)
        query = dns.message.make_query(
            name, params.type, use_edns=0, payload=_UDP_BYTES, want_dnssec=params.authenticated
        )
    except (dns.exception.DNSException, ValueError, UnicodeError):
        raise Finding(Reason.BAD_PARAMS, "name is not a domain name") from None
    if not params.recursive:
        query.flags &= ~dns.flags.RD
    return query


def parse(wire: bytes) -> Message | None:
    """The message, or None for what is not one."""
    import dns.exception
    import dns.message

    try:
        return dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=False)
    except (dns.exception.DNSException, ValueError, IndexError, KeyError, UnicodeError, AssertionError):
        return None


def _truncated(answer: Message) -> bool:
    import dns.flags

    return bool(answer.flags & dns.flags.TC)


def measured(answer: Message) -> dict[str, Value]:
    """What a message tells, whether it is right or not."""
    import dns.flags
    import dns.rcode
    import dns.rdatatype

    fields: dict[str, Value] = {
        "rcode": dns.rcode.to_text(answer.rcode()),
        "answers": float(sum(len(rrset) for rrset in answer.answer if rrset.rdtype != dns.rdatatype.RRSIG)),
        "authority_records": float(sum(len(rrset) for rrset in answer.authority)),
        "additional_records": float(sum(len(rrset) for rrset in answer.additional)),
        "authoritative": bool(answer.flags & dns.flags.AA),
        "authenticated": bool(answer.flags & dns.flags.AD),
    }
    if answer.answer:
        fields["min_ttl_seconds"] = float(min(rrset.ttl for rrset in answer.answer))
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.SOA:
            fields["soa_serial"] = float(rrset[0].serial)
    return fields


def judge(answer: Message, params: Params) -> None:
    """Raises Finding with the first thing that is wrong."""
    import dns.flags
    import dns.rcode

    rcode = dns.rcode.to_text(answer.rcode())
    if rcode not in params.rcodes:
        raise Finding(Reason.BAD_STATUS, f"the server says {rcode}")
    if params.authoritative and not answer.flags & dns.flags.AA:
        raise Finding(Reason.BAD_STATUS, "the answer is not authoritative")
    if params.authenticated and not answer.flags & dns.flags.AD:
        raise Finding(Reason.BAD_STATUS, "the answer is not authenticated by DNSSEC")
    judge_answers(answer_texts(answer, params.type), params)


def answer_texts(answer: Message, kind: str) -> list[str]:
    """The answers of the asked type, as written in a zone, names in lower case without the last dot."""
    import dns.rdatatype

    wanted = dns.rdatatype.from_text(kind)
    return [_plain(record.to_text()) for rrset in answer.answer if rrset.rdtype == wanted for record in rrset]


def judge_answers(found: Sequence[str], params: Params) -> None:
    """Raises Finding(bad_body)."""
    if len(found) < params.fewest:
        raise Finding(Reason.BAD_BODY, f"{len(found)} answers of type {params.type}, expected {params.fewest}")
    wanted = {_plain(text) for text in params.answers}
    if not wanted <= set(found):
        raise Finding(Reason.BAD_BODY, f"{len(wanted - set(found))} of {len(wanted)} expected answers are missing")
    if params.only and set(found) - wanted:
        raise Finding(Reason.BAD_BODY, f"{len(set(found) - wanted)} answers are not expected")
    if params.answer_regex is not None and not any(re.search(params.answer_regex, text) for text in found):
        raise Finding(Reason.BAD_BODY, "no answer matches")


def _plain(text: str) -> str:
    """For comparing: case and the last dot do not matter; long texts lose their quotes."""
    return " ".join(part.removesuffix(".").strip('"').lower() for part in text.split())
