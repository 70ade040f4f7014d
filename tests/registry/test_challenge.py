"""Challenges and scopes: how they are read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.registry.challenge import (
    choose_challenge,
    format_scopes,
    parse_challenges,
    parse_scopes,
    repository_scopes,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'BASIC Realm=plain, Bearer realm="a \\"b\\", c" , service = s',
            [("basic", {"realm": "plain"}), ("bearer", {"realm": 'a "b", c', "service": "s"})],
        ),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        (',, Basic realm="x",', [("basic", {"realm": "x"})]),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(c.scheme, dict(c.params)) for c in parse_challenges(header)] == expected


@given(st.text())
def test_challenges_never_fail(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


_NAMES = st.text("abc/.-:0", min_size=1, max_size=12)


@given(
    st.frozensets(st.tuples(st.sampled_from(["repository", "x"]), _NAMES, st.sampled_from("pqr")))
)
def test_scopes_survive_their_text(scopes: frozenset[tuple[str, str, str]]) -> None:
    assert parse_scopes(" ".join(format_scopes(scopes))) == scopes


def test_scopes_of_one_repository_merge() -> None:
    both = repository_scopes("a/b", ("push",)) | parse_scopes("repository:a/b:pull registry:c:*")
    assert format_scopes(both) == ("registry:c:*", "repository:a/b:pull,push")


BEARER = 'Bearer realm="https://auth.io/token"'


@pytest.mark.parametrize(
    ("header", "scheme", "realm"),
    [
        ("Basic realm=x", "basic", "x"),
        (f"Basic realm=x, {BEARER}", "bearer", "https://auth.io/token"),
        (f'{BEARER}, Bearer realm="https://else.io"', "bearer", "https://auth.io/token"),
        ("Bearer service=s, Basic realm=x", "basic", "x"),
        ("Basic realm=x, Basic realm=y", "basic", "x"),
        ("Negotiate", None, None),
        ("Bearer service=s", None, None),
        ("", None, None),
    ],
)
def test_the_challenge_to_answer(header: str, scheme: str | None, realm: str | None) -> None:
    found = choose_challenge(header)
    assert (found and found.scheme) == scheme
    assert (found and found.params["realm"]) == realm
