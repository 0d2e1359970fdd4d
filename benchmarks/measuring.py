"""Processes, free ports and medians, shared by all benchmarks."""

from __future__ import annotations

import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def need(binary: str) -> str | None:
    """The path of a peer, or None with a line that it was not measured."""
    found = shutil.which(binary)
    if not found:
        print(f"NOT MEASURED: {binary} is not installed")
    return found


@contextlib.contextmanager
def child(argv: Sequence[str], *, log: Path, url: str | None = None) -> Iterator[psutil.Process]:
    """A process that is ended afterwards; ready when `url` answers."""
    with log.open("ab") as out:
        process = subprocess.Popen(list(argv), stdout=out, stderr=subprocess.STDOUT)
    try:
        if url:
            wait_for(lambda: answers(url), what=f"{argv[0]} at {url}")
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key: RSA of 2048 bits, as most are."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "100"]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(cert), *names], check=True, capture_output=True)
    return cert, key


@contextlib.contextmanager
def nginx(folder: Path, *, cert: tuple[Path, Path] | None = None) -> Iterator[int]:
    """A web server with one worker that answers 200 at every path, over TLS with a certificate; yields its port.

    No session is ever resumed: each handshake is a full one.
    """
    port = free_port()
    config = folder / "nginx.conf"
    secured, tls = "", ""
    if cert:
        secured = " ssl"
        tls = f"ssl_certificate {cert[0]}; ssl_certificate_key {cert[1]}; ssl_protocols TLSv1.3;"
        tls += "ssl_session_cache off; ssl_session_tickets off;"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;"
        "events { worker_connections 4096; }"
        f"http {{ access_log off; server {{ {tls}"
        f"listen 127.0.0.1:{port}{secured} backlog=4096; location / {{ return 200 ok; }}}}}}"
    )
    with child([shutil.which("nginx") or "nginx", "-c", str(config)], log=folder / "nginx.log"):
        wait_for(lambda: listens(port), what="nginx")
        yield port


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], *, what: str, timeout_s: float = 60.0) -> None:
    """Poll until true; ends the benchmark with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"benchmark: {what} did not happen within {timeout_s} s")
        time.sleep(0.05)


def quantiles(values: Sequence[float]) -> str:
    """`p50 a  p95 b  max c`."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.2f}  p95 {p95:.2f}  max {ordered[-1]:.2f}"


def healthmon(*arguments: str) -> list[str]:
    """The command line of one of our roles."""
    return [sys.executable, "-m", "healthmon", *arguments]
