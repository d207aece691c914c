"""The certificate of `serve --tls`: made here, for the names of this machine's loopback.

An authority signs one server certificate and its key is thrown away: whoever trusts the
authority trusts this one server, and nothing else can ever be signed by it. Both last
until a month before they expire, so that a client need be told only once.

    tls/authority.pem   what clients are to trust
    tls/bundle.pem      the same beside the public authorities, for variables that replace
                        a client's whole list (`REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE`)
    tls/server.pem, tls/server.key   the server's own; the key is its user's alone
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emulator.local import replace_file

LIFE = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
NAMES = ("localhost", "*.localhost")
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of one certificate, in a directory of their own."""

    directory: Path

    @property
    def authority(self) -> Path:
        """What clients are to trust."""
        return self.directory / "authority.pem"

    @property
    def bundle(self) -> Path:
        """The authority beside the public ones."""
        return self.directory / "bundle.pem"

    @property
    def server(self) -> Path:
        """The server's certificate."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.directory / "server.key"

    def trust(self) -> ssl.SSLContext:
        """For a client of this machine: the public authorities and this one."""
        return ssl.create_default_context(cafile=str(self.bundle))

    def ensure(self, now: datetime | None = None) -> None:
        """Makes the files unless those that are there will do."""
        moment = now or datetime.now(UTC)
        if not self._will_do(moment):
            self._make(moment)
        public = Path(certifi.where()).read_bytes()
        replace_file(self.bundle, public + b"\n" + self.authority.read_bytes())

    def _will_do(self, now: datetime) -> bool:
        try:
            authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
            server = x509.load_pem_x509_certificate(self.server.read_bytes())
            key = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
            server.verify_directly_issued_by(authority)
        except Exception:  # noqa: BLE001 - whatever is wrong with them, new ones mend it
            return False
        fits = key.public_key() == server.public_key()
        return fits and now + RENEWED_BEFORE < server.not_valid_after_utc

    def _make(self, now: datetime) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Authority of one Batch emulator")
        identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
        authority = (
            _builder(name, name, authority_key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        names: list[x509.GeneralName] = [x509.DNSName(n) for n in NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
        server = (
            _builder(_name("Batch emulator"), name, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
                critical=False,
            )
            .sign(authority_key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        replace_file(self.key, secret, mode=0o600)
        replace_file(self.server, server.public_bytes(pem))
        replace_file(self.authority, authority.public_bytes(pem))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
