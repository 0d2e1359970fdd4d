"""TLS and permissions: no broker is trusted by its name alone, and PUBACK is never taken for delivery."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemons.fleet import make_agent, publishing, reading, serving, until
from daemons.mosquitto import Mosquitto, Tls
from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.transport import mqtt

pytestmark = pytest.mark.wire


def certificate(folder: Path, name: str, *, ip: str = "127.0.0.1") -> Tls:
    """A self-signed certificate for one address; it is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ip))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Tls(cert_file, cert_file, key_file)


async def refused(broker: Broker) -> str:
    with pytest.raises(TransportDown) as caught:
        async with mqtt.connector(broker, client_id="x")():
            pass
    return str(caught.value)


async def test_tls_end_to_end_and_only_with_the_right_authority(tmp_path: Path) -> None:
    daemon = Mosquitto(tmp_path / "m", tls=certificate(tmp_path, "good"), users={"hm": "secret word"})
    daemon.start()
    try:
        agent = make_agent(daemon.broker, tmp_path / "spool.sqlite")
        async with serving(daemon.broker) as server, publishing(agent):
            await agent.see("t1")
            await until(lambda: agent.spool.batches == 0)
        assert server.targets() == ["t1"]
        other = certificate(tmp_path, "other")
        assert "certificate verify failed" in await refused(replace(daemon.broker, ca_file=str(other.ca_file)))
        assert "certificate verify failed" in await refused(replace(daemon.broker, ca_file=None))
        assert await refused(replace(daemon.broker, url=daemon.broker.url.replace("mqtts", "mqtt")))
        assert await refused(replace(daemon.broker, password="guess"))
    finally:
        daemon.stop()


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    daemon = Mosquitto(tmp_path / "m", tls=certificate(tmp_path, "elsewhere", ip="192.0.2.1"))
    daemon.start()
    try:
        assert "IP address mismatch" in await refused(daemon.broker)
    finally:
        daemon.stop()


async def test_a_missing_authority_file_is_a_refusal_not_a_crash(tmp_path: Path) -> None:
    assert await refused(Broker(url="mqtts://127.0.0.1:1", ca_file=str(tmp_path / "none.pem")))


ACL = """
user server
topic readwrite healthmon/#

user pc-1
pattern write healthmon/v1/+/%u/batch
pattern write healthmon/v1/+/%u/state
pattern read healthmon/v1/+/%u/ack
pattern read healthmon/v1/+/%u/ask
"""


async def test_what_a_broker_takes_and_throws_away_stays_in_the_spool(tmp_path: Path) -> None:
    """An ACL refusal is still PUBACKed under MQTT 3.1.1: only the server's acknowledgement may delete."""
    daemon = Mosquitto(tmp_path / "m", users={"server": "s", "pc-1": "a"}, acl=ACL)
    daemon.start()
    pc_1 = replace(daemon.broker, username="pc-1", password="a")
    try:
        mine = make_agent(pc_1, tmp_path / "mine.sqlite", "pc-1")
        feigned = make_agent(pc_1, tmp_path / "feigned.sqlite", "pc-2")
        async with serving(daemon.broker) as server:
            async with publishing(mine):
                await mine.see("mine")
                await until(lambda: mine.spool.batches == 0)
            await feigned.spool.append([reading("feigned")])
            async with publishing(feigned):
                await until(lambda: feigned.publisher.stats().sent_live == 1)
        assert feigned.spool.batches == 1
        assert server.targets() == ["mine"]
        assert {state.agent for state in server.states} == {"pc-1"}
    finally:
        daemon.stop()
