"""`make test-all` and CI: install the daemons without starting them; then every test runs and a skip is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "snmpd snmp snmptrapd mosquitto influxdb victoria-metrics prometheus prometheus-alertmanager "
    "prometheus-node-exporter "
    "nginx-light nftables iproute2 fping chromium fonts-dejavu-core orthanc dcmtk "
    "tinyproxy prometheus-blackbox-exporter prometheus-snmp-exporter "
    "unbound chrony slapd freeradius openssh-server samba monitoring-plugins-basic systemd-journal-remote "
    "cups-daemon cups-client cups-ipp-utils avahi-daemon dbus "
    "dovecot-imapd dovecot-pop3d vsftpd postgresql docker-compose faketime"
).split()
BINARIES = (
    "snmpd snmptrap snmptrapd mosquitto influxd victoria-metrics prometheus promtool nginx nft ip chromium Orthanc "
    "storescp "
    "tinyproxy prometheus-blackbox-exporter "
    "unbound chronyd slapd freeradius sshd smbd cupsd lpadmin ippeveprinter avahi-daemon dbus-daemon "
    "dovecot vsftpd pg_lsclusters docker-compose faketime"
).split()
#: For the container image alone, in `make test-all`: a builder, and a Debian root to build on.
CONTAINER_PACKAGES = ("buildah", "mmdebstrap")
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(binaries: Sequence[str]) -> list[str]:
    """Programs that are not installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in binaries if not shutil.which(name, path=path)]


def install(packages: Sequence[str]) -> None:
    """apt-get install with a policy that starts nothing; the policy is removed again."""
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment, stdout=subprocess.DEVNULL)
        command = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    finally:
        if own_policy:
            POLICY.unlink()


def main() -> int:
    """0 when every program is there; with the word `containers`, those for the image too."""
    more = CONTAINER_PACKAGES if sys.argv[1:] == ["containers"] else ()
    if absent := missing([*BINARIES, *more]):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            print(f"missing: {', '.join(absent)}; run as root on Debian, or install them", file=sys.stderr)
            return 2
        install([*PACKAGES, *more])
    return 0


if __name__ == "__main__":
    sys.exit(main())
