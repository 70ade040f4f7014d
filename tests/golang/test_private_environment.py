"""What of an environment a process gets, and what it reads from a file."""

from __future__ import annotations

import pytest

from ko_pants.golang.private_environment import FILE_VARIABLE, has_credentials, split_environment


def public(env: dict[str, str]) -> dict[str, str]:
    """What is part of a process, without the name of the file."""
    found = dict(split_environment(env, env).public)
    del found[FILE_VARIABLE]
    return found


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {"GOPROXY": "https://u:p@a.example.com/x,https://t@b.example.com|direct"},
            {"GOPROXY": "https://a.example.com/x,https://b.example.com|direct"},
        ),
        ({"GOPROXY": "https://u:p/w@a.example.com"}, {"GOPROXY": "https://a.example.com"}),
        ({"GOPROXY": "off"}, {"GOPROXY": "off"}),
        (
            {"GOSUMDB": "sum.example.com+key https://u:p@sum.example.com"},
            {"GOSUMDB": "sum.example.com+key https://sum.example.com"},
        ),
        # Flags decide what is built, whatever is in them.
        (
            {"GOFLAGS": "-ldflags=-X=m.x=https://u:p@x"},
            {"GOFLAGS": "-ldflags=-X=m.x=https://u:p@x"},
        ),
        ({"GOAMD64": "v3", "CGO_CFLAGS": "-O", "PATH": "/x"},) * 2,
        (
            {"HTTPS_PROXY": "http://u:p@proxy:3128", "no_proxy": "x", "HOME": "/h", "GOAUTH": "c"},
            {},
        ),
        ({"GITHUB_TOKEN": "s3cret", "A": "1"}, {}),
        ({"GO B": "1", "a b": "2"}, {"GO B": "1", "a b": "2"}),
    ],
)
def test_what_a_process_gets(env: dict[str, str], expected: dict[str, str]) -> None:
    assert public(env) == expected


def test_users_with_other_secrets_have_the_same_process() -> None:
    names = ("GOPROXY", "HTTPS_PROXY", "HOME")
    first = {"GOPROXY": "https://a:s3cret@p.example.com", "HOME": "/home/a", "HTTPS_PROXY": "x"}
    second = {"GOPROXY": "https://b:0ther@p.example.com", "HOME": "/home/b"}
    one, other = (split_environment(env, names) for env in (first, second))
    assert one.public == other.public
    assert one.file_name == other.file_name
    assert one.file_content != other.file_content
    assert "s3cret" not in f"{one}{one.public}{one.file_name}"


def test_repos_that_ask_for_other_variables_share_no_file() -> None:
    names = [split_environment({}, names).file_name for names in ((), ("NETRC",), ("A", "NETRC"))]
    assert len(set(names)) == 3
    assert split_environment({}, ("B", "A")) == split_environment({}, ("A", "B"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GOPROXY", "https://u:p@x", True),
        ("GOPROXY", "https://x/@v,direct", True),
        ("GOPROXY", "https://x,direct", False),
        ("HTTP_PROXY", "u:p@proxy:3128", True),
        ("https_proxy", "http://proxy:3128", False),
        ("GIT_X", "ssh://git@x", False),
    ],
)
def test_credentials_are_recognised(name: str, value: str, expected: bool) -> None:
    assert has_credentials(name, value) is expected
