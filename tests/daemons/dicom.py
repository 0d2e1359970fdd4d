"""DICOM servers on loopback: Orthanc (a small archive) and dcmtk's storescp, with studies made by dcmtk's tools."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemons.process import Daemon, free_port, listens, need, running

_DUMP = """\
(0008,0016) UI =SecondaryCaptureImageStorage
(0008,0018) UI [{study}.1.1]
(0008,0050) SH [{accession}]
(0008,0060) CS [OT]
(0010,0010) PN [{name}]
(0010,0020) LO [{patient}]
(0020,000d) UI [{study}]
(0020,000e) UI [{study}.1]
"""


@dataclass(frozen=True, slots=True)
class Study:
    """A test study."""

    uid: str
    patient: str
    accession: str
    name: str


@contextmanager
def orthanc(folder: Path, studies: Sequence[Study], *, find_allowed_to: str) -> Iterator[int]:
    """Orthanc as ORTHANC with the studies in it; gives its DICOM port. Only one AE title may ask C-FIND."""
    port = free_port()
    config = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpServerEnabled": False,
        "DicomPort": port,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": False,
        "DicomModalities": {"asker": [find_allowed_to, "127.0.0.1", 104]},
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(config))
    daemon = Daemon([need("Orthanc"), str(file)], ready=listens(port), log=folder / "orthanc.log")
    with running(daemon):
        for number, study in enumerate(studies):
            _store(folder, number, study, port)
        yield port


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """dcmtk's storage server, which also answers C-ECHO (and no C-FIND)."""
    port = free_port()
    argv = [need("storescp"), "-od", str(folder), *options, str(port)]
    with running(Daemon(argv, ready=listens(port), log=folder / "storescp.log")):
        yield port


def _store(folder: Path, number: int, study: Study, port: int) -> None:
    dump, file = folder / f"{number}.dump", folder / f"{number}.dcm"
    dump.write_text(_DUMP.format(study=study.uid, accession=study.accession, name=study.name, patient=study.patient))
    subprocess.run([need("dump2dcm"), "-q", dump, file], check=True, capture_output=True)
    storescu = [need("storescu"), "-aec", "ORTHANC", "127.0.0.1", str(port), str(file)]
    subprocess.run(storescu, check=True, capture_output=True)
