"""The one place that turns an exception into a Reason."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass

import msgspec

from healthmon.model.errors import HealthmonError, NotAllowed
from healthmon.model.sample import UNKNOWN_REASONS, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in one word and a short text without addresses of patients, queries or bodies."""

    reason: Reason
    detail: str = ""

    @property
    def outcome(self) -> Outcome:
        """`unknown` when the reason speaks about us, `failed` when it speaks about the target."""
        return Outcome.UNKNOWN if self.reason in UNKNOWN_REASONS else Outcome.FAILED


class Finding(HealthmonError):
    """A probe knows what is wrong; the reading says so and nothing is retried here."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.fault = Fault(reason, detail)


class Forbidden(NotAllowed):
    """The guard said no: not_allowed, probing_stopped or rate_limited; the reading is unknown."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(reason, detail)


_BY_ERRNO: dict[int, tuple[Reason, str]] = {
    errno.ECONNREFUSED: (Reason.REFUSED, "connection refused"),
    errno.ETIMEDOUT: (Reason.TIMEOUT, "no answer"),
    errno.ECONNRESET: (Reason.RESET, "connection reset by the target"),
    errno.EPIPE: (Reason.RESET, "connection reset by the target"),
    errno.ECONNABORTED: (Reason.CLOSED, "connection aborted"),
    # A router's word or a neighbour that does not answer ARP. The runner asks the kernel afterwards whether
    # this machine has a route and a carrier (route.py), and if not says unknown/no_route instead.
    errno.EHOSTUNREACH: (Reason.UNREACHABLE, "host unreachable"),
    errno.ENETUNREACH: (Reason.UNREACHABLE, "network unreachable"),
    errno.ENETDOWN: (Reason.NO_ROUTE, "this machine's network is down"),
    errno.EADDRNOTAVAIL: (Reason.NO_ROUTE, "this machine has no address to send from"),
    errno.EAFNOSUPPORT: (Reason.NO_ROUTE, "this machine does not speak that address family"),
    # A packet filter on this machine drops what we send (netfilter answers EPERM to the sender, Linux net/ipv4).
    errno.EPERM: (Reason.NO_ROUTE, "this machine's own packet filter lets it not out"),
    errno.EACCES: (Reason.NO_PERMISSION, "not permitted on this machine"),
}

CERTIFICATE_REASONS = frozenset({Reason.CERT_EXPIRED, Reason.CERT_UNTRUSTED, Reason.CERT_WRONG_HOST})

#: OpenSSL's X509_V_ERR_* numbers.
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_HOST = frozenset({62, 63, 64})

#: The name service itself gave an authoritative no. Everything else is our resolver's trouble.
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def explain(error: BaseException) -> Fault | None:
    """The fault that an exception stands for, or None when it can only be a bug of ours."""
    match error:
        case Finding() | Forbidden():
            return error.fault
        case NotAllowed():
            return Fault(Reason.NOT_ALLOWED, str(error))
        case ssl.SSLCertVerificationError():
            return _certificate(error)
        case ssl.SSLError():
            word = getattr(error, "reason", None) or "TLS error"  # absent where Python itself raises it
            return Fault(Reason.TLS_HANDSHAKE, word.lower().replace("_", " "))
        case socket.gaierror():
            return _name(error)
        case ImportError():
            return Fault(Reason.NO_LIBRARY, f"library {error.name or error} is not installed")
        case msgspec.ValidationError():
            return Fault(Reason.BAD_PARAMS, str(error))
        case asyncio.IncompleteReadError():
            return Fault(Reason.CLOSED, "closed before the whole answer")
        case OSError():
            return _system(error)
        case BaseExceptionGroup() if len(error.exceptions) == 1:
            return explain(error.exceptions[0])
    return None


def timed_out(dns_s: float, timeout_s: float, *, resolving: bool = False, phase: str = "") -> Fault:
    """The time ran out: the target's fault, unless the resolver of this machine took most of it."""
    if resolving or dns_s > timeout_s / 2.0:
        return Fault(Reason.NAME_SERVICE, f"names took {dns_s:.1f} s of {timeout_s:g} s")
    return Fault(Reason.TIMEOUT, f"no answer in {timeout_s:g} s" + (f" ({phase})" if phase else ""))


def _certificate(error: ssl.SSLCertVerificationError) -> Fault:
    code = error.verify_code
    if code in (_EXPIRED, _NOT_YET_VALID):
        return Fault(Reason.CERT_EXPIRED, error.verify_message)
    if code in _WRONG_HOST:
        return Fault(Reason.CERT_WRONG_HOST, error.verify_message)
    return Fault(Reason.CERT_UNTRUSTED, error.verify_message)


def _name(error: socket.gaierror) -> Fault:
    if error.errno in _NO_SUCH_NAME:
        return Fault(Reason.DNS, "the name does not exist")
    return Fault(Reason.NAME_SERVICE, "the resolver of this machine did not answer")


def _system(error: OSError) -> Fault | None:
    if error.filename is not None:
        return Fault(Reason.BAD_PARAMS, f"{error.filename}: {(error.strerror or 'cannot be read').lower()}")
    if error.errno in _BY_ERRNO:
        return Fault(*_BY_ERRNO[error.errno])
    match error:
        case TimeoutError():
            return Fault(Reason.TIMEOUT, "no answer")
        case ConnectionRefusedError():
            return Fault(Reason.REFUSED, "connection refused")
        case ConnectionResetError() | BrokenPipeError():
            return Fault(Reason.RESET, "connection reset by the target")
        case ConnectionError():
            return Fault(Reason.CLOSED, "connection closed")
    return None
