"""A certificate that nobody signed, for a test server on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import subprocess
from pathlib import Path

import pytest


def write_self_signed(path: Path) -> str:
    """Writes key and certificate for 127.0.0.1 and localhost to one PEM file; returns the certificate, for clients that
    are to trust it. Skips the test where neither the package `cryptography` nor the command `openssl` is there."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        pem = _by_command()
    else:
        pem = _by_package()
    path.write_text(pem)
    return pem[pem.index("-----BEGIN CERTIFICATE-----") :]


def _by_package() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (secret + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def _by_command() -> str:
    if not shutil.which("openssl"):
        pytest.skip("needs a certificate: pip install cryptography, or the command openssl")
    made = subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout - -out -"
        " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1".split(),
        capture_output=True,
        check=True,
        text=True,
    )
    return made.stdout
