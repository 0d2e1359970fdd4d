"""Ask a target over the network. A probe is one file, one line here, one pack, one test."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import cast

from healthmon.model.ports import Probe
from healthmon.model.sample import Family

#: Kind to "module:Class". Dotted names, so that nothing is imported that is not run.
PROBES: Mapping[str, str] = {
    "alertmanager": "healthmon.probes.alertmanager:AlertmanagerProbe",
    "dicom": "healthmon.probes.dicom:DicomProbe",
    "dns": "healthmon.probes.dns:DnsProbe",
    "exec": "healthmon.probes.exec:ExecProbe",
    "fhir": "healthmon.probes.fhir:FhirProbe",
    "hl7": "healthmon.probes.hl7:Hl7Probe",
    "http": "healthmon.probes.http:HttpProbe",
    "icmp": "healthmon.probes.icmp:IcmpProbe",
    "ipp": "healthmon.probes.ipp:IppProbe",
    "journey": "healthmon.probes.journey:JourneyProbe",
    "ldap": "healthmon.probes.ldap:LdapProbe",
    "mqtt": "healthmon.probes.mqtt_roundtrip:MqttProbe",
    "ntp": "healthmon.probes.ntp:NtpProbe",
    "openmetrics": "healthmon.probes.openmetrics:OpenmetricsProbe",
    "push": "healthmon.probes.push:PushProbe",
    "radius": "healthmon.probes.radius:RadiusProbe",
    "smb": "healthmon.probes.smb:SmbProbe",
    "smtp": "healthmon.probes.smtp:SmtpProbe",
    "snmp": "healthmon.probes.snmp:SnmpProbe",
    "ssh": "healthmon.probes.ssh:SshProbe",
    "tcp": "healthmon.probes.tcp:TcpProbe",
    "tls": "healthmon.probes.tls:TlsProbe",
}

#: What listens instead of asking.
SOURCES: Mapping[str, str] = {"trap": "healthmon.probes.trap:TrapReceiver"}

#: Folders of packs (under `probes/`) that have not the name of their kind.
PACK_FOLDERS: Mapping[str, str] = {"journey": "journeys"}


@cache
def load_probe(kind: str) -> Probe:
    """The one instance of a kind. Raises KeyError for an unknown kind."""
    module, _, name = PROBES[kind].partition(":")
    return cast(Probe, getattr(import_module(module), name)())


@cache
def families() -> dict[str, Family]:
    """Every family that any probe may emit, by name."""
    known: dict[str, Family] = {}
    for dotted in (*PROBES.values(), *SOURCES.values()):
        for family in import_module(dotted.partition(":")[0]).FAMILIES:
            known[family.name] = family
    return known
