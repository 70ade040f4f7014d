"""References, as docker, crane and ko read them."""

from __future__ import annotations

import contextlib
from typing import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import Reference, check_registry, check_repository, check_tag

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        # No host means Docker Hub, one name there means `library`.
        ("ubuntu", "index.docker.io", "library/ubuntu", "latest", ""),
        ("ubuntu:24.04", "index.docker.io", "library/ubuntu", "24.04", ""),
        ("team/app", "index.docker.io", "team/app", "latest", ""),
        ("team/app/sub:v1", "index.docker.io", "team/app/sub", "v1", ""),
        ("docker.io/ubuntu", "index.docker.io", "library/ubuntu", "latest", ""),
        ("docker.io/team/app", "index.docker.io", "team/app", "latest", ""),
        ("index.docker.io/ubuntu", "index.docker.io", "library/ubuntu", "latest", ""),
        ("registry-1.docker.io/team/app", "index.docker.io", "team/app", "latest", ""),
        # A host has a dot or a port, or is localhost.
        ("registry.example.com/app", "registry.example.com", "app", "latest", ""),
        ("registry.example.com:5000/a/b:v1", "registry.example.com:5000", "a/b", "v1", ""),
        ("registry:5000/app", "registry:5000", "app", "latest", ""),
        ("localhost/app", "localhost", "app", "latest", ""),
        ("localhost:5000/app", "localhost:5000", "app", "latest", ""),
        ("127.0.0.1:5000/app:v1", "127.0.0.1:5000", "app", "v1", ""),
        ("[::1]:5000/app:v1", "[::1]:5000", "app", "v1", ""),
        ("Registry.Example.COM/app", "Registry.Example.COM", "app", "latest", ""),
        # A digest needs no tag, and a tag beside it is kept.
        (f"registry.example.com/app@{DIGEST}", "registry.example.com", "app", "", DIGEST),
        (f"registry.example.com/app:v1@{DIGEST}", "registry.example.com", "app", "v1", DIGEST),
        (f"ubuntu@{DIGEST}", "index.docker.io", "library/ubuntu", "", DIGEST),
        ("a.example.com/" + "a" * 255, "a.example.com", "a" * 255, "latest", ""),
        # Separators.
        ("a.example.com/x__y/z", "a.example.com", "x__y/z", "latest", ""),
        ("a.example.com/x---y.z_w:V_1.2-3", "a.example.com", "x---y.z_w", "V_1.2-3", ""),
    ],
)
def test_what_users_write(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    found = Reference.parse(text)
    assert found == Reference(registry, repository, tag, digest)
    assert Reference.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "repository"),
        (":v1", "repository"),
        ("/app", "repository"),
        ("app/", "repository"),
        ("a//b", "repository"),
        ("Team/app", "repository 'Team/app'"),
        ("registry.example.com/App", "repository 'App'"),
        ("registry.example.com/", "repository ''"),
        ("registry.example.com/a..b", "repository 'a..b'"),
        ("registry.example.com/a___b", "repository 'a___b'"),
        ("registry.example.com/-a", "repository '-a'"),
        ("registry.example.com/a b", "repository 'a b'"),
        ("registry.example.com/app\n", "repository"),
        ("registry.example.com/" + "a" * 256, "repository"),
        ("app:", "tag ''"),
        ("app:.v1", "tag '.v1'"),
        ("app:-v1", "tag '-v1'"),
        ("app:v 1", "tag 'v 1'"),
        ("app:v1:v2", "tag 'v1:v2'"),
        ("app:" + "v" * 129, "128"),
        ("app:v1\n", "tag"),
        ("-x.example.com/app", "registry `host[:port]`, found '-x.example.com'"),
        ("exa_mple.com:5000/app", "registry `host[:port]`"),
        ("registry.example.com:port/app", "registry `host[:port]`"),
        ("registry.example.com:/app", "registry `host[:port]`"),
        (
            "https://registry.example.com/app",
            "registry `host[:port]`, found a URL; leave out https://",
        ),
        ("app@", "64 hex digits"),
        ("app@sha256:12", "found 'sha256:12'"),
        (f"app@sha256:{HEX.upper()}", "64 hex digits"),
        (f"app@sha512:{HEX}{HEX}", "`sha256:`"),
        (f"app@{DIGEST}@{DIGEST}", "64 hex digits"),
        (f"app@{DIGEST}\n", "64 hex digits"),
    ],
)
def test_a_mistake_names_the_part(text: str, part: str) -> None:
    with pytest.raises(KoPantsError) as e:
        Reference.parse(text)
    assert f"malformed reference {text!r}" in str(e.value)
    assert part in str(e.value)


@pytest.mark.parametrize(
    "text",
    [
        "user:s3cret@registry.example.com/team/app",
        "https://user:s3cret@registry.example.com/app",
        "user:s3/cret@registry.example.com/app:v1",
        "user:s3cret@sha1.example.com/app",
        "s3cret@localhost/app",
        "s3cret@registry.example.com",
        "user:s3 cret@localhost:5000/app",
        f"user:s3cret@registry.example.com/app@{DIGEST}",
        f"user:s3cret@{DIGEST}@registry.example.com",
        "user:s3cret@",
        "user:s3cret@other:pw@registry.example.com",
    ],
)
def test_credentials_are_refused_and_not_shown(text: str) -> None:
    checks: list[Callable[[], object]] = [
        lambda: Reference.parse(text),
        lambda: check_registry(text, "option"),
        lambda: check_registry(text.partition("/")[0], text),
        lambda: check_repository(text, f"{text}/app"),
    ]
    for check in checks:
        with pytest.raises(KoPantsError) as e:
            check()
        assert "a user or password before an @ is not read" in str(e.value)
        assert "docker login" in str(e.value)
        for secret in ("s3", "cret", "pw"):
            assert secret not in str(e.value)


_REPOSITORY = st.from_regex(
    r"[a-z0-9]{1,4}((\.|_|__|-)[a-z0-9]{1,3})?(/[a-z0-9]{1,4}){0,3}", fullmatch=True
)
_TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
_HOST = st.from_regex(r"[a-z0-9]{1,5}\.[a-z0-9]{1,5}(:[0-9]{1,5})?|localhost", fullmatch=True)


@given(_HOST, _REPOSITORY, st.one_of(st.just(""), _TAG), st.sampled_from(["", DIGEST]))
def test_text_comes_back_as_it_went(host: str, repository: str, tag: str, digest: str) -> None:
    reference = Reference(host, repository, tag, digest)
    assert Reference.parse(str(reference), default_tag="") == reference


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                ["a", "B", "example.com", "/", ":", "@", DIGEST, "-", ".", "_", "[", "1"]
            )
        ).map("".join),
    )
)
def test_any_text_is_a_reference_or_an_error_for_the_user(text: str) -> None:
    with contextlib.suppress(KoPantsError):
        found = Reference.parse(text)
        assert Reference.parse(str(found)) == found


def test_what_a_manifest_request_names() -> None:
    assert Reference("r", "a", "v1", DIGEST).identifier == DIGEST
    assert Reference("r", "a", "v1").identifier == "v1"
    assert Reference("r", "a").identifier == "latest"


def test_another_tag_or_digest_of_the_same_repository() -> None:
    reference = Reference.parse(f"registry.example.com/app:v1@{DIGEST}")
    assert str(reference.with_tag("v2")) == "registry.example.com/app:v2"
    both = Reference("registry.example.com", "app", "v1", DIGEST)
    assert both.with_tag("v2") == Reference("registry.example.com", "app", "v2", "")
    assert both.with_digest("sha256:1") == Reference("registry.example.com", "app", "", "sha256:1")
    assert str(Reference("", "app", "v1")) == "app:v1"
    assert str(reference.with_digest(DIGEST)) == f"registry.example.com/app@{DIGEST}"


@pytest.mark.parametrize("tag", ["v1", "_x", "V" * 128, "1.2.3-rc_1"])
def test_tags_of_the_distribution_spec(tag: str) -> None:
    check_tag(tag, f"app:{tag}")
