"""host_wifi: how well a host hears its access point. Names of networks and stations are not read."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (
    Family(
        "host_wifi",
        frozenset({"connected", "signal_dbm", "noise_dbm", "quality_ratio", "missed_beacons", "frequency_hertz"})
        | {"receive_bits_per_second", "transmit_bits_per_second"},
        frozenset({"interface"}),
    ),
)
#: The kernel's word for "not known".
_NO_NOISE_DBM = -256.0
#: Most drivers count quality up to this.
_BEST_LINK = 70.0


@dataclass(frozen=True, slots=True)
class Params:
    """`rates`: also ask `iw` (Linux) for bit rates and frequency."""

    rates: bool = True

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class WifiCollector:
    """/proc/net/wireless and `iw dev NAME link`; `netsh wlan` on Windows. Without Wi-Fi it is ok and says nothing."""

    def __init__(self, wireless: Path = Path("/proc/net/wireless")) -> None:
        self._wireless = wireless

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: self._see(params_of(job, Params)))

    def _see(self, params: Params) -> list[Sample]:
        found = (
            parse_netsh(run(["netsh.exe", "wlan", "show", "interfaces"]))
            if sys.platform == "win32"
            else self._linux(params)
        )
        return [
            Sample("host_wifi", field, value, {"interface": name})
            for name, facts in found.items()
            for field, value in facts.items()
        ]

    def _linux(self, params: Params) -> dict[str, dict[str, float]]:
        try:
            found = parse_wireless(self._wireless.read_text())
        except FileNotFoundError:
            return {}
        for name in found if params.rates else ():
            try:
                found[name] |= parse_iw_link(run(["iw", "dev", name, "link"]))
            except Unseen:
                break  # the kernel's own table says enough
        return found


def parse_wireless(text: str) -> dict[str, dict[str, float]]:
    """/proc/net/wireless: two lines of headings, then `name: status link level noise ... beacon`."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines()[2:]:
        name, colon, rest = line.partition(":")
        columns = rest.split()
        if not colon or len(columns) < 4:
            continue
        link, level, noise = (float(column.rstrip(".")) for column in columns[1:4])
        facts = {"connected": float(link > 0), "quality_ratio": min(1.0, max(0.0, link / _BEST_LINK))}
        if level < 0:  # drivers that count from 0 to 100 say nothing in dBm
            facts["signal_dbm"] = level
        if _NO_NOISE_DBM < noise < 0:
            facts["noise_dbm"] = noise
        if len(columns) >= 10 and columns[9].isdigit():
            facts["missed_beacons"] = float(columns[9])
        found[name.strip()] = facts
    return found


def parse_iw_link(text: str) -> dict[str, float]:
    """`iw dev NAME link`: signal, rates and frequency; SSID and addresses are passed over."""
    if text.strip().startswith("Not connected"):
        return {"connected": 0.0}
    found: dict[str, float] = {}
    for field, pattern, factor in (
        ("signal_dbm", r"^\s*signal:\s*(-?\d+)", 1.0),
        ("receive_bits_per_second", r"^\s*rx bitrate:\s*([\d.]+) MBit/s", 1e6),
        ("transmit_bits_per_second", r"^\s*tx bitrate:\s*([\d.]+) MBit/s", 1e6),
        ("frequency_hertz", r"^\s*freq:\s*([\d.]+)", 1e6),
    ):
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            found[field] = float(match.group(1)) * factor
    return found


def parse_netsh(text: str) -> dict[str, dict[str, float]]:
    """`netsh wlan show interfaces` in any language: the one value in per cent is the signal, rates come in pairs.

    Windows turns per cent into dBm by half: 100 % is -50 dBm or better, 0 % is -100 dBm.
    """
    found: dict[str, dict[str, float]] = {}
    number = 0
    for block in re.split(r"\n\s*\n", text):
        pairs = [line.split(":", 1) for line in block.splitlines() if " : " in line]
        if len(pairs) < 4:
            continue
        number += 1
        found[f"wlan{number}"] = _netsh_facts([(name.strip(), value.strip()) for name, value in pairs])
    return found


def _netsh_facts(pairs: list[tuple[str, str]]) -> dict[str, float]:
    facts = {"connected": 0.0}
    rates = [value for name, value in pairs if "Mbps" in name or "MBit/s" in name]
    for _, value in pairs:
        match = re.fullmatch(r"(\d{1,3}) ?%", value)
        if match:
            share = min(1.0, int(match.group(1)) / 100.0)
            facts |= {"connected": 1.0, "quality_ratio": share, "signal_dbm": share * 50.0 - 100.0}
    for field, rate in zip(("receive_bits_per_second", "transmit_bits_per_second"), rates, strict=False):
        if re.fullmatch(r"\d+([.,]\d+)?", rate):
            facts[field] = float(rate.replace(",", ".")) * 1e6
    return facts
