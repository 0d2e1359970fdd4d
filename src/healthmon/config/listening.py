"""The embedded broker for agents on other machines: an address, a certificate, and no way without TLS."""

from __future__ import annotations

from healthmon.config.checks import beside
from healthmon.config.site import Listener
from healthmon.config.written import Written

_OF_A_CLIENT = ("username", "password", "password_file")
_ANY_HOST = ("0.0.0.0", "::", "")


def listener_of(written: Written) -> Listener | None:
    """None unless `broker.listen` is there."""
    form, problem = written.broker, written.validator.problem
    if form is None:
        return None
    if (form.url is None) is (form.listen is None):
        problem(("broker",), "needs `url` (a broker elsewhere) or `listen` (the embedded one), one of them")
        return None
    if form.listen is None:
        for key in ("address", "tls"):
            if getattr(form, key) is not None:
                problem(("broker", key), "goes with `listen` only", key=True)
        return None
    for key in _OF_A_CLIENT:
        if getattr(form, key) is not None:
            problem(("broker", key), "goes with `url` only; agents get theirs by `healthmon enrol`", key=True)
    if form.tls is None:
        problem(("broker",), "key 'tls' is missing: agents elsewhere are heard over TLS only")
        return None
    return _listener(written)


def _listener(written: Written) -> Listener | None:
    form = written.broker
    assert form is not None and form.listen is not None and form.tls is not None  # noqa: PT018
    host, _, port = form.listen.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        message = f"'{form.listen}' is not an address and port (allowed: host:port)"
        written.validator.problem(("broker", "listen"), message)
        return None
    host = host.strip("[]")
    if form.address is None and host in _ANY_HOST:
        written.validator.problem(("broker",), "key 'address' is missing: what agents call this machine")
        return None
    cert, key = (
        str(beside(written.document, ("broker", "tls", name), getattr(form.tls, name)))
        for name in ("cert_file", "key_file")
    )
    ca_file = str(beside(written.document, ("broker", "ca_file"), form.ca_file)) if form.ca_file else None
    return Listener(host, int(port), form.address or host, cert, key, ca_file)
