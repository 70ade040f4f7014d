"""TLS contexts: made once, and anew when a file that they were made of is another."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from real_registry import make_certificate

from ko_pants import daemon_memory
from ko_pants.errors import KoPantsError
from ko_pants.registry import tls

HOST = "registry.test:5000"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a context was made for."""
    seen: list[str] = []
    make = tls._make_context

    def counted(netloc: str, *args: Any) -> ssl.SSLContext:
        seen.append(netloc)
        return make(netloc, *args)

    monkeypatch.setattr(tls, "_make_context", counted)
    daemon_memory.clear_all()
    return seen


def test_hosts_with_the_same_authorities_share_a_context(tmp_path: Path, made: list[str]) -> None:
    env = {"HOME": str(tmp_path)}
    first = tls.find_context(HOST, env, None, None)
    assert tls.find_context(HOST, env, None, None) is first
    assert tls.find_context("other.test", env, None, None) is first
    assert made == [HOST]


def test_a_bundle_that_changed_is_read_again(tmp_path: Path, made: list[str]) -> None:
    authority = make_certificate(tmp_path)[0]
    first = tls.find_context(HOST, {}, str(authority), None)
    assert len(first.get_ca_certs()) == 1
    make_certificate(tmp_path / "other")
    os.replace(tmp_path / "other" / "ca.pem", authority)
    second = tls.find_context(HOST, {}, str(authority), None)
    assert second.get_ca_certs() != first.get_ca_certs()
    assert made == [HOST, HOST]


@pytest.mark.parametrize("directory", [".config/containers", ".docker"])
def test_an_authority_of_one_registry_is_of_that_one(
    tmp_path: Path, made: list[str], directory: str
) -> None:
    env = {"HOME": str(tmp_path)}
    before = tls.find_context(HOST, env, None, None)
    certs = tmp_path / directory / "certs.d" / HOST
    certs.mkdir(parents=True)
    os.replace(make_certificate(tmp_path)[0], certs / "ca.crt")
    assert tls.find_context(HOST, env, None, None) is not before
    assert tls.find_context("other.test", env, None, None) is before


def test_a_client_certificate_is_shown_where_it_is_meant(tmp_path: Path, made: list[str]) -> None:
    authority, certificate, key = make_certificate(tmp_path)
    env = {"SSL_CERT_FILE": str(authority)}
    without = tls.find_context(HOST, env, None, None)
    shown = tls.find_context(HOST, env, None, (str(certificate), str(key)))
    assert shown is not without
    assert tls.find_context("other.test", env, None, None) is without


def test_a_file_that_is_missing_is_named(tmp_path: Path, made: list[str]) -> None:
    with pytest.raises(KoPantsError, match=r"absent\.pem"):
        tls.find_context(HOST, {}, str(tmp_path / "absent.pem"), None)
