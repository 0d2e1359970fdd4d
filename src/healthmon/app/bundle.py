"""The support bundle: an archive that may leave the hospital, without secrets and what looks like a patient."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import tarfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from healthmon import __version__
from healthmon.app.doctor import Finding, Patient
from healthmon.app.identities import Identities
from healthmon.ingest.guard import scrub
from healthmon.model.errors import ConfigError

HIDDEN = "***"
LOG_TAIL_BYTES = 64 * 1024
NOTES_MOST = 200
#: A key with one of these words holds a secret, unless it names a file or a place where one is.
_SECRET = re.compile(r"pass|secret|token|key|community|credential|auth|priv|pin\b|bearer|signing|hash", re.I)
_PLAIN = re.compile(r"(_file|_env|^check|^id)$", re.I)
#: Whatever follows the place in a URL may let somebody in.
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/@\s]*@)?([^/?#\s]*)[^\s]*", re.I)
_LIBRARIES = ("aiomqtt", "msgspec", "psutil", "aiohttp", "pydantic", "gufo-snmp", "pysnmp", "nats-py", "zstandard")

MANIFEST = """\
What this archive holds, so that you can look before you send it:

doctor.json        what `healthmon doctor` found
versions.json      healthmon, Python, operating system, libraries
config/*.yaml      the configuration as it was read: secrets, texts after the host of a URL and comments are left out
health.json        GET health of the running server, if it answered
agents.json        GET agents: who is heard, backlogs, clocks; no readings
files.json         names and sizes in the data folder
quarantine.json    notes of refused payloads: reason, size, checksum; never what they said
broker.log         the end of the embedded broker's log, if there is one

Left out: readings, incidents, notes that people wrote, names of people, the databases, tokens, passwords and keys.
Everything that looks like a patient's identifier is replaced by [removed].
"""


def write_bundle(target: Path, patient: Patient, findings: Iterable[Finding]) -> list[str]:
    """Make the archive (mode 0600); the names in it. Raises ConfigError when it cannot be written."""
    clean = Cleaner(_secrets_of(patient))
    parts = dict(_parts(patient, findings, clean))
    try:
        target.touch(mode=0o600)
        with tarfile.open(target, "w:gz") as archive:
            for name, text in parts.items():
                body = text.encode()
                info = tarfile.TarInfo(f"healthmon-bundle/{name}")
                info.size, info.mode, info.mtime = len(body), 0o600, int(patient.clock.now())
                archive.addfile(info, io.BytesIO(body))
    except OSError as error:
        raise ConfigError([f"--bundle {target}: {error.strerror}"]) from error
    return list(parts)


class Cleaner:
    """Takes out of any text what must not leave: known secrets wherever they stand, and identifiers of patients."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= 6}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return scrub(_URL.sub(_place_only, text))

    def value(self, value: Any, key: str = "") -> Any:
        """The same for whatever YAML or JSON holds; keys decide what is a secret."""
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(one, str(name)) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one, key) for one in value]
        if isinstance(value, bool) or value is None:
            return value
        if _SECRET.search(key) and not _PLAIN.search(key):
            return HIDDEN
        return self.text(value) if isinstance(value, str) else value


def _place_only(match: re.Match[str]) -> str:
    rest = match[0][len(match[1]) :].partition("@")[2] or match[0][len(match[1]) :]
    more = len(rest) > len(match[2]) + 1
    return f"{match[1]}{match[2]}{'/' + HIDDEN if more else ''}"


def _secrets_of(patient: Patient) -> Iterable[str]:
    """Every secret that is known here, to be found wherever it was written by mistake."""
    site = patient.site
    yield from (one for one in (site.store.token, site.store.password) if one)
    yield from site.push_tokens.values()
    if site.broker and site.broker.password:
        yield site.broker.password
    try:
        yield from Identities(site.data_dir).read().values()
    except ConfigError:
        pass
    for name in ("token", "ack-secret", "broker/password"):
        path = site.data_dir / name
        if path.is_file():
            yield path.read_text(errors="replace").strip()


def _parts(patient: Patient, findings: Iterable[Finding], clean: Cleaner) -> Iterable[tuple[str, str]]:
    yield "MANIFEST.txt", MANIFEST
    yield "doctor.json", _json(clean.value([finding_json(one) for one in findings]))
    yield "versions.json", _json(_versions())
    for name, text in _configuration(patient.site.files, clean):
        yield f"config/{name}", text
    for name in ("health", "agents?limit=500"):
        if (answer := patient.ask(name)) is not None:
            yield f"{name.partition('?')[0]}.json", _json(clean.value(answer))
    data = patient.site.data_dir
    yield "files.json", _json(_files(data, clean))
    yield "quarantine.json", _json(_notes(data / "quarantine", clean))
    log = data / "broker" / "nats-server.log"
    if log.is_file():
        tail = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        yield "broker.log", "\n".join(map(clean.text, tail.splitlines()))


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding for machines."""
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "text": finding.text,
        "fix": finding.fix,
        "facts": dict(finding.facts),
    }


def _versions() -> Mapping[str, Any]:
    libraries: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            libraries[name] = None
    return {
        "healthmon": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": libraries,
    }


def _configuration(files: Iterable[Path], clean: Cleaner) -> Iterable[tuple[str, str]]:
    """Parsed and written anew, so that comments stay behind."""
    taken: set[str] = set()
    for number, path in enumerate(files):
        name = path.name if path.name not in taken else f"{number}-{path.name}"
        taken.add(name)
        try:
            parsed = yaml.safe_load(path.read_text())
            yield name, yaml.safe_dump(clean.value(parsed), sort_keys=False, allow_unicode=True)
        except (OSError, yaml.YAMLError) as error:
            yield name, f"# could not be read: {type(error).__name__}\n"


def _files(data: Path, clean: Cleaner) -> list[dict[str, Any]]:
    found = sorted(path for path in data.rglob("*") if path.is_file()) if data.is_dir() else []
    return [{"name": clean.text(str(path.relative_to(data))), "bytes": path.stat().st_size} for path in found[:2000]]


def _notes(folder: Path, clean: Cleaner) -> list[Any]:
    """Without the batches that the engine choked on: those are readings."""
    found = []
    for path in sorted(folder.glob("*.json"))[:NOTES_MOST] if folder.is_dir() else ():
        try:
            note = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        note.pop("batch", None)
        found.append(clean.value(note) | {"reason": path.stem.rpartition("-")[0]})
    return found


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
