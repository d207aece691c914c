"""The certificate of `serve --tls`: whom it opens the door to, and when it is renewed."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from emulator.certificate import LIFE, RENEWED_BEFORE, Certificate

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    made = Certificate(tmp_path / "tls")
    made.ensure(NOW)
    return made


def test_it_is_for_loopback_alone_and_its_key_is_its_users_alone(certificate: Certificate) -> None:
    server = x509.load_pem_x509_certificate(certificate.server.read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "*.localhost"]
    assert all(address.is_loopback for address in names.get_values_for_type(x509.IPAddress))
    assert ipaddress.ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert stat.S_IMODE(certificate.key.stat().st_mode) == 0o600


def test_nobody_can_sign_another_with_what_is_kept(certificate: Certificate) -> None:
    server = x509.load_pem_x509_certificate(certificate.server.read_bytes())
    basic = server.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basic.ca
    keys = [p for p in certificate.directory.iterdir() if b"PRIVATE KEY" in p.read_bytes()]
    assert keys == [certificate.key]


def test_the_bundle_trusts_the_public_authorities_too(certificate: Certificate) -> None:
    alone = ssl.create_default_context(cafile=str(certificate.authority))
    assert len(alone.get_ca_certs()) == 1
    assert len(certificate.trust().get_ca_certs()) > 50


@pytest.mark.parametrize(
    ("later", "renewed"),
    [
        (timedelta(0), False),
        (LIFE - RENEWED_BEFORE - timedelta(minutes=1), False),
        (LIFE - RENEWED_BEFORE, True),
    ],
)
def test_it_is_renewed_a_month_before_its_end(
    certificate: Certificate, later: timedelta, renewed: bool
) -> None:
    before = certificate.server.read_bytes()
    certificate.ensure(NOW + later)
    assert (certificate.server.read_bytes() != before) == renewed


@pytest.mark.parametrize("name", ["authority.pem", "server.pem", "server.key"])
@pytest.mark.parametrize("damage", ["gone", "nonsense", "of another"])
def test_what_does_not_fit_together_is_made_anew(
    certificate: Certificate, tmp_path: Path, name: str, damage: str
) -> None:
    broken = certificate.directory / name
    match damage:
        case "gone":
            broken.unlink()
        case "nonsense":
            broken.write_text("nonsense")
        case _:
            other = Certificate(tmp_path / "other")
            other.ensure(NOW)
            broken.write_bytes((other.directory / name).read_bytes())
    certificate.ensure(NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server, certificate.key)
    server = x509.load_pem_x509_certificate(certificate.server.read_bytes())
    server.verify_directly_issued_by(
        x509.load_pem_x509_certificate(certificate.authority.read_bytes())
    )
