"""Every exception that the network can throw has its reason, in one place."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl

import msgspec
import pytest

from healthmon.model.errors import NotAllowed
from healthmon.model.sample import UNKNOWN_REASONS, Outcome, Reason
from healthmon.probes.reasons import Fault, Finding, Forbidden, explain, timed_out


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def refused_certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "the authority's words"
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (system(errno.ECONNREFUSED), Reason.REFUSED),
        (system(errno.ETIMEDOUT), Reason.TIMEOUT),
        (system(errno.EHOSTUNREACH), Reason.UNREACHABLE),
        (system(errno.ENETUNREACH), Reason.UNREACHABLE),
        (system(errno.ENETDOWN), Reason.NO_ROUTE),
        (system(errno.EADDRNOTAVAIL), Reason.NO_ROUTE),
        (system(errno.ECONNRESET), Reason.RESET),
        (system(errno.EPIPE), Reason.RESET),
        (system(errno.EPERM), Reason.NO_ROUTE),
        (system(errno.EACCES), Reason.NO_PERMISSION),
        (TimeoutError(), Reason.TIMEOUT),
        (ConnectionResetError("no number"), Reason.RESET),
        (FileNotFoundError(errno.ENOENT, "No such file", "/etc/secret"), Reason.BAD_PARAMS),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/secret"), Reason.BAD_PARAMS),
        (asyncio.IncompleteReadError(b"", 3), Reason.CLOSED),
        (socket.gaierror(socket.EAI_NONAME, "x"), Reason.DNS),
        (socket.gaierror(socket.EAI_NODATA, "x"), Reason.DNS),
        (socket.gaierror(socket.EAI_AGAIN, "x"), Reason.NAME_SERVICE),
        (socket.gaierror(socket.EAI_FAIL, "x"), Reason.NAME_SERVICE),
        (refused_certificate(10), Reason.CERT_EXPIRED),
        (refused_certificate(9), Reason.CERT_EXPIRED),
        (refused_certificate(18), Reason.CERT_UNTRUSTED),
        (refused_certificate(20), Reason.CERT_UNTRUSTED),
        (refused_certificate(62), Reason.CERT_WRONG_HOST),
        (refused_certificate(64), Reason.CERT_WRONG_HOST),
        (ssl.SSLError(1, "wrong version number"), Reason.TLS_HANDSHAKE),
        (ImportError("no", name="pyrad"), Reason.NO_LIBRARY),
        (msgspec.ValidationError("Expected int"), Reason.BAD_PARAMS),
        (NotAllowed("medical"), Reason.NOT_ALLOWED),
        (Forbidden(Reason.RATE_LIMITED, "later"), Reason.RATE_LIMITED),
        (Finding(Reason.PARTIAL, "row 7"), Reason.PARTIAL),
        (ExceptionGroup("one", [system(errno.ECONNREFUSED)]), Reason.REFUSED),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else type(value).__name__,
)
def test_what_an_exception_means(error: BaseException, reason: Reason) -> None:
    fault = explain(error)
    assert fault is not None
    assert fault.reason is reason


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), system(errno.EMFILE), system(errno.EINVAL)])
def test_what_can_only_be_a_bug_is_left_to_the_boundary(error: BaseException) -> None:
    assert explain(error) is None


@pytest.mark.parametrize("reason", list(Reason))
def test_the_reason_alone_decides_the_outcome(reason: Reason) -> None:
    assert Fault(reason).outcome is (Outcome.UNKNOWN if reason in UNKNOWN_REASONS else Outcome.FAILED)


def test_a_timeout_belongs_to_whoever_took_most_of_it() -> None:
    assert timed_out(0.1, 2.0, phase="connecting") == Fault(Reason.TIMEOUT, "no answer in 2 s (connecting)")
    assert timed_out(1.5, 2.0).reason is Reason.NAME_SERVICE
    assert timed_out(0.0, 2.0, resolving=True).reason is Reason.NAME_SERVICE
