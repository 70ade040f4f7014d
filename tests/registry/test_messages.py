"""Errors in words: what was refused, by whom, and what may help."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from registry_support import reply_of, request_to

from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryConfig
from ko_pants.registry.connections import Connections
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import MissingBlobsError
from ko_pants.registry.messages import RegistryMessages, TokenServerMessages
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import ReplyTooLarge, TransferFailure

APP = Reference("r.io", "app", "v1")
URL = "https://r.io/v2/app/manifests/v1"
DONE = reply_of(200, URL)


def messages(env: dict[str, str] | None = None, *, challenged: bool = True) -> RegistryMessages:
    redact = Redactor()
    config = RegistryConfig(env or {})
    connections = Connections(config, redact)
    contacts = Contacts(frozenset(), connections.proxy_for)
    challenge = reply_of(401, URL, WWW_Authenticate='Basic realm="r"') if challenged else DONE
    contacts.of("r.io").learn(challenge)
    return RegistryMessages(connections, contacts, CredentialStore(config.env, redact), redact)


def errors(*codes: str, digest: str = "") -> bytes:
    return json.dumps({"errors": [{"code": c, "detail": digest} for c in codes]}).encode()


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (400, "NAME_INVALID", ""),
        (401, "UNAUTHORIZED", "docker login r.io"),
        (403, "DENIED", "docker login r.io` or `podman login r.io`; check that they may do this"),
        (404, "NAME_UNKNOWN", "want a repository to be created before the first push"),
        (404, "NOT_FOUND", ""),
        (413, "SIZE_INVALID", "a proxy before the registry limits the size"),
        (429, "TOOMANYREQUESTS", "it limits the rate of requests"),
        (499, "UNKNOWN", ""),
        (500, "UNKNOWN", "the registry has a problem"),
    ],
)
def test_refusals(status: int, code: str, hint: str) -> None:
    error = messages().refusal(reply_of(status, URL, errors(code)), APP, "store the manifest")
    assert (error.status, error.codes) == (status, (code,))
    text, has_hint, found = str(error).partition(". Hint: ")
    assert text == f"r.io refuses to store the manifest r.io/app:v1: HTTP {status} ({code})"
    assert bool(has_hint) == bool(hint)
    assert hint in found


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_a_registry_that_does_not_ask_who_we_are(status: int) -> None:
    error = messages(challenged=False).refusal(reply_of(status, URL), APP, "pull")
    assert "sent no challenge, nor does it at /v2/" in str(error)
    assert "docker login" not in str(error)


def test_a_refusal_says_how_often_it_was_tried_and_whose_the_credentials_are(
    tmp_path: Path,
) -> None:
    auth = base64.b64encode(b"user:password").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r.io": {"auth": auth}}}))
    reply = reply_of(401, URL)
    reply.note = "tried 3 times"
    error = messages({"DOCKER_CONFIG": str(tmp_path)}).refusal(reply, APP, "pull")
    assert "HTTP 401; tried 3 times. Hint: the credentials are those of 'r.io' in" in str(error)


def test_the_answer_of_another_host_is_told_as_such() -> None:
    error = messages().refusal(reply_of(401, "https://cdn.io/x"), APP, "pull the blob")
    assert str(error).endswith("Hint: this is the answer of cdn.io, where it sent us")


@pytest.mark.parametrize(
    ("status", "code", "missing"),
    [
        (400, "MANIFEST_BLOB_UNKNOWN", True),
        (404, "blob_unknown", True),
        (422, "MANIFEST_UNVERIFIED", True),
        (400, "MANIFEST_UNKNOWN", True),
        (400, "MANIFEST_INVALID", False),
        (403, "BLOB_UNKNOWN", False),
    ],
)
def test_missing_blobs(status: int, code: str, missing: bool) -> None:
    digest = "sha256:" + "a" * 64
    error = messages().refusal(reply_of(status, URL, errors(code, digest=digest)), APP, "store")
    assert isinstance(error, MissingBlobsError) is missing
    if isinstance(error, MissingBlobsError):
        assert error.digests == (digest,)


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (TransferFailure("TLS failed (x)", tls=True), "add r.io to the option"),
        (TransferFailure("refused", connect=True), "check the host's name and port"),
        (TransferFailure("reset"), "the registry's log, and run again"),
        (TransferFailure("not trusted", connect=True, permanent=True), ""),
    ],
)
def test_no_reply(failure: TransferFailure, hint: str) -> None:
    error = messages().unreachable(request_to(URL), failure, "tried 3 times")
    text, has_hint, found = str(error).partition(". Hint: ")
    assert text == f"cannot reach the registry r.io for r.io/app:v1: {failure} (tried 3 times)"
    assert bool(has_hint) == bool(hint)
    assert hint in found
    assert "proxy" not in found
    assert error.status == 0


def test_no_reply_of_another_host_or_through_a_proxy() -> None:
    refused = TransferFailure("refused", connect=True, origin=Origin.of("https://cdn.io"))
    error = messages({"HTTPS_PROXY": "http://proxy:3128"}).no_reply(APP, refused, "")
    assert "the registry r.io (at cdn.io) for r.io/app:v1: refused. Hint" in str(error)
    assert str(error).endswith("or the proxy that the environment names")


def test_a_reply_that_is_too_large() -> None:
    problem = ReplyTooLarge("it is larger than 3 bytes")
    assert str(messages().too_large(request_to(URL), problem)) == (
        "r.io: the reply to GET for r.io/app:v1 is not acceptable: it is larger than 3 bytes"
    )
    assert str(TokenServerMessages().too_large(request_to("https://auth.io/t"), problem)) == (
        "r.io: the reply of its token server auth.io is not acceptable: it is larger than 3 bytes"
    )


def test_no_reply_of_a_token_server() -> None:
    words = TokenServerMessages()
    request, failure = request_to("https://auth.io/t"), TransferFailure("timed out")
    assert str(words.unreachable(request, failure, "tried 2 times")) == (
        "r.io: cannot reach its token server auth.io: timed out (tried 2 times). Hint: check the "
        "network and its proxies"
    )
    assert "timed out. Hint" in str(words.unreachable(request, failure, ""))
