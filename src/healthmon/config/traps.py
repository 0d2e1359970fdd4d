"""`traps`: where the poller listens for SNMP notifications, and whom it believes."""

from __future__ import annotations

from typing import Any

from healthmon.config.blocks import secret_of
from healthmon.config.packs import Packs
from healthmon.config.site import TrapsConfig
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.probes.snmp import AUTH_PROTOCOLS, PRIV_PROTOCOLS
from healthmon.probes.snmp_client import Credentials
from healthmon.probes.trap_pack import FOLDER, lint_pack, read_meanings

#: RFC 3414 section 11.2.
_LEAST_PASSWORD = 8


def traps_of(written: Written, packs: Packs) -> TrapsConfig | None:
    """None where nothing listens. Problems of the packs are noted by their lint as well as here."""
    form = written.traps
    if form is None:
        return None
    host, _, port = form.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        written.validator.problem(("traps", "listen"), f"'{form.listen}' is not ADDRESS:PORT, such as 0.0.0.0:162")
        return None
    community = secret_of(written, form, "community", ("traps",))
    users = tuple(_user(written, number, user) for number, user in enumerate(form.users))
    if community is None and not users:
        written.validator.problem(("traps",), "nobody is believed: give community (v1, v2c), users (v3) or both")
    return TrapsConfig(host.strip("[]"), int(port), community, users, form.per_sender, read_meanings(_packs(packs)))


def _packs(packs: Packs) -> list[Any]:
    """Every trap pack that is sound, stock first; the lint says what is wrong with the others."""
    documents = (packs.document(f"probes/{FOLDER}/{name}.yaml") for name in packs.names(f"probes/{FOLDER}"))
    sound = [document for document in documents if document is not None and not lint_pack(document.data)]
    own = {packs.roots[0] / "probes" / FOLDER}
    return [document.data for document in sorted(sound, key=lambda one: one.files[0].parent not in own)]


def _user(written: Written, number: int, form: Any) -> Credentials:
    path: DataPath = ("traps", "users", number)
    auth = secret_of(written, form, "auth_password", path) or ""
    priv = secret_of(written, form, "priv_password", path) or ""
    pairs = (("auth", form.auth_protocol, auth, AUTH_PROTOCOLS), ("priv", form.priv_protocol, priv, PRIV_PROTOCOLS))
    for name, protocol, password, known in pairs:
        if protocol is not None and protocol not in known:
            written.validator.problem((*path, f"{name}_protocol"), f"must be one of {', '.join(known)}")
        if (protocol is not None) != bool(password):
            written.validator.problem(path, f"{name}_protocol and {name}_password go together")
        elif password and len(password) < _LEAST_PASSWORD:
            written.validator.problem((*path, f"{name}_password"), f"needs at least {_LEAST_PASSWORD} characters")
    if form.priv_protocol is not None and form.auth_protocol is None:
        written.validator.problem((*path, "priv_protocol"), "needs auth_protocol")
    return Credentials("3", "", form.user, form.auth_protocol, auth, form.priv_protocol, priv)
