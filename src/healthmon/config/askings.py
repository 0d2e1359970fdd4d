"""What one run of each kind of probe sends, and what it never does, in words: the text of docs/probing.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asking:
    """One run at its defaults. `sends`: what leaves this machine; `never`: what is not sent whatever is configured."""

    sends: str
    never: str


_NO_LOGIN_NO_SESSION = "no login, no session"

ASKINGS = {
    "dicom": Asking(
        "one TCP connection, one association, one C-ECHO (or C-FIND of a sentinel), release",
        "C-STORE, C-MOVE, C-GET, worklist changes; a C-FIND without a sentinel key",
    ),
    "dns": Asking("one UDP query, a second one when it got lost; TCP when the answer is truncated", "zone transfers"),
    "exec": Asking("whatever the plugin sends: it is started once, in a sandbox, and timed out", "a shell"),
    "fhir": Asking(
        "one connection, one GET (capability, search with `_summary`, or read of a test patient)",
        "POST, PUT, PATCH, DELETE; a search without a sentinel",
    ),
    "hl7": Asking(
        "one TCP connection and nothing over it; one sentinel message to a channel marked as a test channel",
        "a message to any other channel: no ADT, no orders, no results",
    ),
    "http": Asking("one connection, one request, and its redirects (at most `max_redirects`)", "PUT, PATCH, DELETE"),
    "icmp": Asking(
        "echo requests, `spacing_s` apart", "broadcasts, fragments; more than one packet to a medical device"
    ),
    "ipp": Asking("one connection, one Get-Printer-Attributes of named attributes", "print jobs, job lists, job names"),
    "journey": Asking(
        "one request a step with one test account, and always the clean-up (log out)",
        "POST outside of steps marked `login`; anything that writes",
    ),
    "ldap": Asking("one connection, bind, one search of one entry, unbind", "writes; a refused login again at once"),
    "mqtt": Asking(
        "one connection, one subscription, one message of a few bytes to a topic of its own",
        "retained messages, wildcard subscriptions",
    ),
    "ntp": Asking("one UDP packet, a second one when it got lost", "control and monitor modes (6 and 7)"),
    "openmetrics": Asking("one connection, one GET of an exporter", "anything but GET"),
    "alertmanager": Asking("nothing: Alertmanager sends what fires and what is resolved", "anything"),
    "push": Asking("nothing: another tool sends its readings here", "anything"),
    "radius": Asking("one UDP request, a second one when it got lost", "accounting; a refused account again at once"),
    "smb": Asking("one connection, one NEGOTIATE", _NO_LOGIN_NO_SESSION + ", SMB 1"),
    "smtp": Asking("one connection, EHLO, QUIT; login where one is configured", "MAIL FROM, RCPT TO: no letter, ever"),
    "snmp": Asking(
        "GETs of the scalars, then GETBULKs down the columns that its packs name (below)",
        "SET; a walk of a whole tree; a table no pack names",
    ),
    "ssh": Asking(
        "one connection, our version line, the server's key exchange offer", _NO_LOGIN_NO_SESSION + ", no keys"
    ),
    "tcp": Asking("one connection, what `send` says, at most `max_bytes` read", "a second port"),
    "tls": Asking("one connection, one handshake", "application data"),
}
