"""HL7 v2 over MLLP by hand: one sentinel message out, of its answer only the code and the control id."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

START, END, RETURN = 0x0B, 0x1C, 0x0D
#: An acknowledgement is a few hundred bytes; who sends more is not acknowledging.
MOST_ANSWER_BYTES = 64 * 1024
#: Original and enhanced acknowledgement mode: accepted, error in the content, rejected (HL7 table 0008).
CODES = ("AA", "AE", "AR", "CA", "CE", "CR")
GOOD_CODES = frozenset({"AA", "CA"})


@dataclass(frozen=True, slots=True)
class Ack:
    """What is read of an acknowledgement, and all that is."""

    code: str
    control_id: str


def sentinel(
    *,
    message_type: str,
    control_id: str,
    at: float,
    version: str,
    sender: tuple[str, str],
    receiver: tuple[str, str],
    processing_id: str,
) -> bytes:
    """A message of one MSH segment, framed; `at` is Unix seconds. It speaks of no patient, order or visit."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S+0000")
    fields = ["MSH", "^~\\&", *sender, *receiver, stamp, "", message_type, control_id, processing_id, version]
    return framed("|".join(fields).encode("ascii") + b"\r")


def framed(message: bytes) -> bytes:
    """The MLLP block: VT, message, FS, CR."""
    return bytes([START]) + message + bytes([END, RETURN])


async def read_block(reader: asyncio.StreamReader) -> bytes:
    """The content of one block. Raises Finding(closed, bad_response, too_large)."""
    got = bytearray()
    while True:
        end = got.find(END)
        if end >= 0:
            return bytes(got[1:end])
        if len(got) > MOST_ANSWER_BYTES:
            raise Finding(Reason.TOO_LARGE, f"an answer over {MOST_ANSWER_BYTES} bytes")
        more = await reader.read(MOST_ANSWER_BYTES)
        if not more:
            raise Finding(Reason.CLOSED, "closed in the middle of the answer" if got else "closed without an answer")
        got += more
        if got[0] != START:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not an MLLP block")


def parse_ack(block: bytes) -> Ack:
    """Code and control id of an acknowledgement; texts, errors and whatever else it holds are not looked at."""
    segments = block.replace(b"\n", b"\r").split(b"\r")
    head = segments[0]
    if not head.startswith(b"MSH") or len(head) < 8:
        raise Finding(Reason.BAD_RESPONSE, "the answer does not begin with MSH")
    separator = head[3:4]
    for segment in segments[1:]:
        if segment.startswith(b"MSA" + separator):
            fields = segment[:300].split(separator)
            code = fields[1].strip().decode("ascii", "replace")
            if code not in CODES:
                raise Finding(Reason.BAD_RESPONSE, "the acknowledgement has no known code")
            return Ack(code, fields[2].strip().decode("ascii", "replace")[:64] if len(fields) > 2 else "")
    raise Finding(Reason.BAD_RESPONSE, "the answer has no MSA segment")
