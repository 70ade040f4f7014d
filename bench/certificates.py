"""Keys and certificates for a registry with TLS, made by openssl for a benchmark or a test."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

_EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = ("-days", "30")


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files: the authority that clients must trust, the server's certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


def make_server_certificate(directory: Path, names: Iterable[str]) -> ServerCertificate:
    """Make an authority, and by it the certificate of a server.

    :param names: the server's names, in OpenSSL's notation: `DNS:localhost`, `IP:127.0.0.1`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    extensions = f"subjectAltName={','.join(names)}\nbasicConstraints=CA:FALSE\n"
    (directory / "extensions").write_text(extensions)
    _openssl(
        *("req", "-x509", *_EC_KEY, *_DAYS, "-subj", "/CN=ko_pants benchmark"),
        *("-keyout", "ca.key", "-out", "ca.pem"),
        cwd=directory,
    )
    _openssl(
        *("req", "-new", *_EC_KEY, "-subj", "/CN=registry"),
        *("-keyout", "server.key", "-out", "server.csr"),
        cwd=directory,
    )
    _openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", *_DAYS, "-extfile", "extensions", "-out", "server.pem"),
        cwd=directory,
    )
    return ServerCertificate(
        directory / "ca.pem", directory / "server.pem", directory / "server.key"
    )


@dataclass(frozen=True)
class SigningKey:
    """An RSA key whose signatures Python makes itself, in a millisecond or two.

    A process of openssl for each token would take ten times as long, on cores that are measured.

    :param certificate: the PEM file that the registry trusts.
    :param numbers: modulus, public exponent, private exponent, both primes, both exponents of the
        Chinese remainder theorem, and its coefficient (RFC 8017, A.1.2).
    """

    certificate: Path
    numbers: tuple[int, ...]

    def x5c(self) -> str:
        """The certificate in the form of a JWT header (RFC 7515, 4.1.6)."""
        lines = self.certificate.read_text().splitlines()
        return "".join(line for line in lines if not line.startswith("-"))

    def sign(self, digest: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.1) of a SHA-256 digest."""
        modulus, _, _, p, q, dp, dq, coefficient = self.numbers
        length = (modulus.bit_length() + 7) // 8
        info = _SHA256_INFO + digest
        padded = b"\0\1" + b"\xff" * (length - len(info) - 3) + b"\0" + info
        message = int.from_bytes(padded, "big")
        first, second = pow(message, dp, p), pow(message, dq, q)
        signature = second + (first - second) * coefficient % p * q
        return signature.to_bytes(length, "big")


# The DER head of a DigestInfo with SHA-256 (RFC 8017, 9.2).
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def make_signing_key(directory: Path) -> SigningKey:
    """Make a key for tokens, and its certificate."""
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", *_DAYS, "-subj", "/CN=tokens"),
        *("-keyout", "token.key", "-out", "token.pem"),
        cwd=directory,
    )
    pem = (directory / "token.key").read_text().splitlines()
    key = base64.b64decode("".join(line for line in pem if not line.startswith("-")))
    return SigningKey(directory / "token.pem", _rsa_numbers(key))


def _rsa_numbers(der: bytes) -> tuple[int, ...]:
    """The numbers of a private key in DER: PKCS #8 (RFC 5958), or RSA's own form."""
    fields = _fields(_fields(der)[0])
    if len(fields) < 9:
        return _rsa_numbers(fields[2])
    return tuple(int.from_bytes(number, "big") for number in fields[1:9])


def _fields(der: bytes) -> list[bytes]:
    """The contents of the DER values that stand one after the other."""
    found = []
    while der:
        length, start = der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        found.append(der[start : start + length])
        der = der[start + length :]
    return found


def _openssl(*arguments: str, cwd: Path) -> None:
    if shutil.which("openssl") is None:
        raise SystemExit("openssl is not on PATH; it makes the certificates of the cloud registry")
    done = subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')}")
