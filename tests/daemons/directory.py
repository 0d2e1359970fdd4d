"""A real slapd: a test account, a sentinel entry, plain LDAP with StartTLS on 127.0.0.1 and ::1, and LDAPS."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemons.certs import Authority, Issued
from daemons.process import Daemon, free_port, listens, need, running

BASE = "dc=st-elsewhere,dc=example"
USER, PASSWORD = f"cn=healthmon-probe,{BASE}", "probe-password"
SENTINEL = f"cn=sentinel,{BASE}"

_ENTRIES = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: st-elsewhere
o: St Elsewhere

dn: {USER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: healthmon-probe
userPassword: {PASSWORD}

dn: {SENTINEL}
objectClass: organizationalRole
cn: sentinel
description: alive 42

"""
_MANY = "".join(f"dn: cn=r{n},{BASE}\nobjectClass: organizationalRole\ncn: r{n}\n\n" for n in range(30))


@dataclass(frozen=True, slots=True)
class Directory:
    """Ports, and the authority to trust."""

    port: int
    tls_port: int
    ca_file: str


@contextlib.contextmanager
def directory(folder: Path, authority: Authority, certificate: Issued) -> Iterator[Directory]:
    """slapd with its data in `folder`."""
    binary = need("slapd")
    port, tls_port = free_port(), free_port()
    (folder / "data").mkdir()
    config = folder / "slapd.conf"
    config.write_text(
        "include /etc/ldap/schema/core.schema\n"
        "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        f"pidfile {folder}/slapd.pid\n"
        f"TLSCACertificateFile {authority.ca_file}\n"
        f"TLSCertificateFile {certificate.cert_file}\nTLSCertificateKeyFile {certificate.key_file}\n"
        f'database mdb\nsuffix "{BASE}"\nrootdn "cn=root,{BASE}"\ndirectory {folder}/data\n'
        "access to attrs=userPassword by anonymous auth by * none\n"
        f'access to dn.base="{SENTINEL}" by users read\n'
        "access to * by users read by anonymous search\n"
    )
    entries = folder / "entries.ldif"
    entries.write_text(_ENTRIES + _MANY)
    subprocess.run([need("slapadd"), "-f", str(config), "-l", str(entries)], check=True, capture_output=True)
    urls = f"ldap://127.0.0.1:{port}/ ldap://[::1]:{port}/ ldaps://127.0.0.1:{tls_port}/"
    argv = [binary, "-f", str(config), "-h", urls, "-d", "0"]
    with running(Daemon(argv, ready=listens(port), log=folder / "slapd.log")):
        yield Directory(port, tls_port, str(authority.ca_file))
