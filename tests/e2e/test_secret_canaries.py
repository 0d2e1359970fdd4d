"""A canary as every kind of secret: configured, made by the server and typed by people, it is found in no output.

Outputs are logs at debug of healthmon and of every library, every page and answer of the API for whoever may configure,
errors, metrics, what commands print, and every file of the data folder that is not there to hold that secret.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite
from daemons.paging import Receiver
from daemons.process import free_port
from healthmon.web.permissions import TABLE

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(400)]

#: Logs of everything, at debug.
LOUD = """
import logging, sys
import healthmon.cli.frame as frame
quiet = frame.set_up_logs
def loud(level):
    quiet(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
frame.set_up_logs = loud
from healthmon.cli import main
main()
"""


def canary(kind: str) -> str:
    return f"canary-{kind}-7f3a9c51e2d84b06"


#: Secrets of the configuration, inline or from a file.
CONFIGURED = (
    "webhook-url", "webhook-secret", "webhook-header", "mail-password", "apprise-url", "trap-community", "trap-auth",
    "trap-priv", "mqtt-password", "gateway-url", "reply-secret", "push-token", "snmp-community", "snmp-auth",
    "snmp-priv", "http-password", "http-header", "oidc-secret", "site-token", "store-password", "traps-community",
)  # fmt: skip
#: Files that are there to hold secrets, each for its own; the audit and the databases are none of them.
KEPT = ("token", "ack-secret", "identities.json", "broker", "broker.json", "users.json", "tokens.json", "sessions.json")
WORDS = "canary-user-password-7f3a9c51e2d84b06"


class Canaries:
    """The site that holds them all, what it answered, and the secrets that it made itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hook = Receiver()
        self.site = OneSite(folder / "site", role_name="up", **self.blocks(folder))
        self.site.site["targets"] += self.targets()
        (folder / "site-token").write_text(canary("site-token") + "\n")
        self.site.write()
        argv = [sys.executable, "-c", LOUD, "up", "-c", str(self.site.config), "-v"]
        self.site.daemon.argv = argv
        self.outputs: dict[str, bytes] = {}
        self.made: dict[str, str] = {}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {canary('site-token')}"}

    def blocks(self, folder: Path) -> dict[str, Any]:
        dead = f"127.0.0.1:{free_port()}"
        host, port = dead.split(":")
        secret_file = folder / "webhook-secret"
        secret_file.write_text(canary("webhook-secret"))
        channels: dict[str, Any] = {
            "inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")},
            "hook": {"kind": "webhook", "url": f"{self.hook.url}/{canary('webhook-url')}",
                     "secret_file": str(secret_file), "headers": {"X-Key": canary("webhook-header")}},
            "dead-hook": {"kind": "webhook", "url": f"http://{dead}/{canary('webhook-url')}"},
            "mail": {"kind": "mail", "host": host, "port": int(port), "security": "none", "sender": "hm@ward.example",
                     "to": ["duty@ward.example"], "username": "hm", "password": canary("mail-password")},
            "chat": {"kind": "apprise", "url": f"jsons://user:{canary('apprise-url')}@{dead}/"},
            "trap": {"kind": "snmptrap", "host": host, "port": int(port), "community": canary("trap-community")},
            "trap3": {"kind": "snmptrap", "host": host, "port": int(port), "version": "3", "user": "hm",
                      "auth_protocol": "SHA-256", "auth_password": canary("trap-auth"),
                      "priv_protocol": "AES", "priv_password": canary("trap-priv")},
            "bus": {"kind": "mqtt", "url": f"mqtt://{dead}", "username": "hm", "password": canary("mqtt-password")},
            "sms": {"kind": "gateway", "url": f"http://{dead}/send?key={canary('gateway-url')}",
                    "body": {"to": "{to}", "text": "{text}"}, "reply_secret": canary("reply-secret")},
        }  # fmt: skip
        steps = [{"after": "0s", "channels": [name for name in channels if name != "sms"]}]
        return {
            "notify": {"channels": channels},
            "oncall": {"policies": [{"id": "all", "severities": [1, 2, 3, 4, 5], "steps": steps}]},
            "push": {"tool": {"token": canary("push-token")}},
            "traps": {"listen": f"127.0.0.1:{free_port()}", "community": canary("traps-community")},
            "store": {"influxdb": {"url": f"http://{dead}", "version": 1, "database": "hm", "username": "hm",
                                   "password": canary("store-password")}},
            "web": {"listen": "", "token_file": str(folder / "site-token"),
                    "oidc": {"issuer": f"http://{dead}", "client_id": "hm", "client_secret": canary("oidc-secret")}},
        }  # fmt: skip

    def targets(self) -> list[dict[str, Any]]:
        dead = free_port()
        v3 = {"auth_protocol": "SHA-256", "priv_protocol": "AES"}
        v3 |= {"auth_password": canary("snmp-auth"), "priv_password": canary("snmp-priv")}
        more = {"every": "1s", "timeout": "500ms"}
        checks = [
            {"id": "s2", "kind": "snmp", "port": dead, "community": canary("snmp-community"), **more},
            {"id": "s3", "kind": "snmp", "port": dead, "version": "3", "user": "hm", **v3, **more},
        ]
        (self.folder / "http-password").write_text(canary("http-password"))
        web = {"id": "h", "kind": "http", "user": "hm", "password_file": str(self.folder / "http-password"), **more}
        web["headers"] = {"X-Key": canary("http-header")}
        address = f"http://127.0.0.1:{dead}"
        asked = {"id": "web", "kind": "endpoint", "address": address, "area": "ed", "checks": [web]}
        return [asked, {"id": "watched", "kind": "switch", "address": "127.0.0.1", "area": "ed", "checks": checks}]

    def ask(self, path: str, *, body: Any = None, headers: dict[str, str] | None = None, form: bool = False) -> bytes:
        """One request; what came back is kept under its name, headers and all."""
        data = None if body is None else body.encode() if form else json.dumps(body).encode()
        request = urllib.request.Request(self.site.base + path, data, headers or {})
        request.add_header("Content-Type", "application/x-www-form-urlencoded" if form else "application/json")
        try:
            answer = urllib.request.build_opener(Still).open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        found = bytes(answer.read())
        self.outputs[f"{request.get_method()} {path} {len(self.outputs)}"] = str(answer.headers).encode() + found
        return found

    def command(self, *arguments: str, stdin: str = "") -> bytes:
        argv = [sys.executable, "-m", "healthmon", *arguments, "-c", str(self.site.config)]
        done = subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=60, cwd=self.folder)
        self.outputs[f"healthmon {' '.join(arguments)}"] = done.stdout + done.stderr
        return done.stdout


class Still(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    """A site that failed, paged, was signed in to, was asked everything, and was told nonsense."""
    made = Canaries(tmp_path_factory.mktemp("secrets"))
    site = made.site
    site.site["web"]["listen"] = f"127.0.0.1:{site.port}"
    site.write()
    for service in site.services.values():
        service.up()
    try:
        site.daemon.start()
        until(lambda: made.hook.posted, timeout_s=90, what="a page: switch and web server are not there")
        sign_in_and_make(made)
        ask_everything(made)
        say_nonsense(made)
        run_commands(made)
        yield made
    finally:
        site.daemon.stop()
        for service in site.services.values():
            service.down()
        made.hook.stop()


def sign_in_and_make(made: Canaries) -> None:
    made.command("users", "add", "dana", "--role", "configure", stdin=f"{WORDS}\n")
    made.command("users", "list")
    made.ask("/login", body=f"user=dana&password={WORDS}x", form=True)
    made.ask("/login", body=f"user={WORDS}&password=wrong-wrong-wrong", form=True)
    made.ask("/login", body=f"name=Dana+Example&token={canary('site-token')}x", form=True)
    request = urllib.request.Request(made.site.base + "/login", f"user=dana&password={WORDS}".encode())
    try:
        urllib.request.build_opener(Still).open(request, timeout=30)
        raise AssertionError("a redirect was expected")
    except urllib.error.HTTPError as signed:
        made.made["session"] = signed.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    text = json.loads(made.command("tokens", "add", "tool", "--json"))["token"]
    del made.outputs["healthmon tokens add tool --json"]  # the one place that shows it
    made.made["api-token"] = text.removeprefix("hm_").partition("_")[2]  # the secret itself may hold a "_"
    page = json.loads(made.hook.posted[0].raw)
    link = next(value for value in strings(page) if "/ack/" in value)
    made.made["ack-link"] = link.rpartition("/")[2]


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from strings(child)


def ask_everything(made: Canaries) -> None:
    """Every route that reads, as whoever may configure and as a stranger."""
    incident = made.site.incidents()[0]["id"]
    places = {"{id}": incident, "{token}": "wrong", "{name}": "board.css", "{override}": "x", "{channel}": "sms"}
    for row in sorted(TABLE):
        method, path = row.split(" ", 1)
        for pattern, value in places.items():
            path = path.replace(pattern, value)
        if method == "GET" and path != "/api/v1/events":
            made.ask(path, headers=made.bearer)
    for path in ("/", "/api/v1/tokens", "/metrics", "/ack/wrong", "/nowhere"):
        made.ask(path, headers={"X-Forwarded-For": "192.0.2.9"})
    for target in ("watched", "srv-ed"):
        made.ask(f"/api/v1/targets/{target}", headers=made.bearer)
        made.ask(f"/targets/{target}", headers=made.bearer)
    made.ask("/probe?target=127.0.0.1&module=none", headers=made.bearer)


def say_nonsense(made: Canaries) -> None:
    """Wrong bodies, and secrets where they do not belong."""
    cookie = {"Cookie": f"healthmon_session={made.made['session']}"}
    for path in (
        "incidents/x/ack",
        "silences",
        "tokens",
        "reload",
        "links",
        "readings",
        "replies/sms",
        "probing/resume",
    ):
        for headers in (made.bearer, cookie, {"Authorization": f"Bearer {canary('push-token')}"}):
            made.ask(f"/api/v1/{path}", body={"nothing": 1}, headers=headers)
    made.ask(f"/ack/{made.made['ack-link']}x")
    made.ask(f"/api/v1/ack/{made.made['ack-link']}", body={"wrong": 1})


def run_commands(made: Canaries) -> None:
    for arguments in (
        ("check", "--json"), ("tokens", "list"), ("audit", "--json"), ("audit", "--verify"), ("incidents", "--json"),
        ("store", "backup", str(made.folder / "backup"), "--json"), ("tokens", "revoke", "none"),
    ):  # fmt: skip
        made.command(*arguments)


def secrets_of(made: Canaries) -> dict[str, str]:
    found = {kind: canary(kind) for kind in CONFIGURED} | {"user-password": WORDS} | made.made
    return found | {"ack-secret": (made.site.data / "ack-secret").read_text().strip()}


def holders(made: Canaries, haystacks: dict[str, bytes]) -> list[str]:
    return [
        f"{kind} in {name}"
        for kind, secret in secrets_of(made).items()
        for name, haystack in haystacks.items()
        if secret.encode() in haystack
    ]


def test_the_secrets_are_in_use(told: Canaries) -> None:
    """Otherwise the search would find nothing for the wrong reason."""
    text = told.site.config.read_text()
    written = set(CONFIGURED) - {"site-token", "webhook-secret", "http-password"}
    assert [kind for kind in written if canary(kind) not in text] == []
    assert canary("webhook-url") in told.hook.posted[0].path
    assert canary("webhook-header") in str(told.hook.posted[0].headers)
    assert told.ask("/api/v1/me", headers=told.bearer)
    assert len(told.outputs) > 60


def test_no_answer_page_or_command_holds_one(told: Canaries) -> None:
    assert holders(told, told.outputs) == []


def test_no_log_line_holds_one(told: Canaries) -> None:
    log = told.site.log.read_bytes()
    assert b" DEBUG " in log
    assert holders(told, {"the log": log}) == []


def test_no_file_holds_one_that_is_not_there_for_it(told: Canaries) -> None:
    data = told.site.data
    files = {str(path.relative_to(data)): path for path in data.rglob("*") if path.is_file()}
    searched = {name: path.read_bytes() for name, path in files.items() if name.split("/")[0] not in KEPT}
    assert {"journal.sqlite", "audit.jsonl"} <= set(searched)
    assert holders(told, searched) == []


def test_files_that_hold_secrets_are_for_their_owner_alone(told: Canaries) -> None:
    data = told.site.data
    names = ("token", "ack-secret", "identities.json", "users.json", "tokens.json", "sessions.json", "audit.jsonl")
    modes = {name: (data / name).stat().st_mode & 0o777 for name in names if (data / name).exists()}
    assert set(modes.values()) == {0o600}
    assert {"users.json", "tokens.json", "sessions.json", "audit.jsonl"} <= set(modes)
    kept = b"".join((data / name).read_bytes() for name in ("users.json", "tokens.json", "sessions.json"))
    made = {"user-password": WORDS} | {kind: told.made[kind] for kind in ("session", "api-token")}
    assert [kind for kind, secret in made.items() if secret.encode() in kept] == []
