"""Flags, variables and go.mod lines as inputs, and that no secret is among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.explanation.program_inputs import flag_inputs, module_inputs, variable_inputs
from ko_pants.explanation.record import ALL_FLAGS, hidden, is_hidden
from ko_pants.golang.private_environment import split_environment

SECRET = "s3cr3t-t0k3n"


def test_flags_by_their_names() -> None:
    assert flag_inputs(["-tags=netgo,osusergo", "-a", "--gcflags=all=-N"], [])[:-1] == [
        ("flag", "-tags", "netgo,osusergo"),
        ("flag", "-a", "true"),
        ("flag", "-gcflags", "all=-N"),
    ]
    assert flag_inputs(["-gcflags=a", "-gcflags=b"], [])[:-1] == [("flag", "-gcflags", "a b")]
    assert flag_inputs([], []) == []


def test_linker_flags_have_no_values() -> None:
    found = flag_inputs(
        ["-ldflags=-extldflags=-static"], ["-s", "-w", "-X main.version=v1", "-X=main.token=x y"]
    )

    assert [name for _, name, _ in found] == [
        ALL_FLAGS,
        "-ldflags -s",
        "-ldflags -w",
        "-ldflags -X main.version",
        "-ldflags -X main.token",
        "-ldflags",
        "-ldflags -extldflags",
    ]
    assert {n: v for _, n, v in found}["-ldflags -s"] == "set"
    assert all(is_hidden(value) for _, name, value in found if "X" in name)


@pytest.mark.parametrize(
    ("one", "two", "name"),
    [
        ("-X main.a=1", "-X main.a=2", "-ldflags -X main.a"),
        ("-X main.a=1", "-X main.a=", "-ldflags -X main.a"),
        ("-X 'main.a=x y'", "-X 'main.a=x z'", "-ldflags -X main.a"),
        ('"-X=main.a=x y"', '"-X=main.a=x z"', "-ldflags -X main.a"),
        ("-s", "", "-ldflags -s"),
        ("-B 0x1", "-B 0x2", "-ldflags -B"),
        ("-X 'main.a=x", "-X 'main.a=y", ALL_FLAGS),
        ("-s -w", "-w -s", ALL_FLAGS),
    ],
)
def test_each_linker_flag_that_differs_is_named(one: str, two: str, name: str) -> None:
    before, now = flag_inputs([], [one]), flag_inputs([], [two] if two else [])

    assert name in {n for _, n, _ in set(before) ^ set(now)}


_words = st.lists(st.text(st.sampled_from("-Xs=a '\"w"), max_size=8), max_size=3)


@given(_words, _words, _words, _words)
def test_no_edit_of_flags_goes_unseen(
    flags: list[str], ldflags: list[str], other: list[str], others: list[str]
) -> None:
    same = (flags, ldflags) == (other, others)

    assert (flag_inputs(flags, ldflags) == flag_inputs(other, others)) == same


def test_an_empty_flag_is_not_an_empty_linker_flag() -> None:
    assert flag_inputs([""], []) != flag_inputs([], [""])


def test_flags_that_cannot_be_read_are_one_input() -> None:
    ((_, name, value),) = flag_inputs(["x", SECRET], [])
    assert name == ALL_FLAGS
    assert is_hidden(value)


def test_variables_have_hashes_unless_go_knows_their_values() -> None:
    env = {
        "GOEXPERIMENT": "jsonv2",
        "GOPROXY": "https://proxy.example.com",
        "PATH": "/bin",
        "GOOS": "linux",
        "GOARCH": "amd64",
        "CGO_ENABLED": "0",
    }
    assert variable_inputs(env) == [
        ("environment variable", "GOEXPERIMENT", "jsonv2"),
        ("environment variable", "GOPROXY", hidden("GOPROXY", "https://proxy.example.com")),
        ("environment variable", "PATH", hidden("PATH", "/bin")),
    ]


def test_of_credentials_there_is_nothing() -> None:
    env = {
        "GOPROXY": f"https://user:{SECRET}@proxy.example.com",
        "HTTPS_PROXY": f"http://user:{SECRET}@proxy.example.com",
        "GOAUTH": f"netrc {SECRET}",
        "GITHUB_TOKEN": SECRET,
        "GOPRIVATE": "example.com",
    }
    other = {name: value.replace(SECRET, "another") for name, value in env.items()}
    found, without = (variable_inputs(split_environment(e, env).public) for e in (env, other))

    assert found == without
    assert {name for _, name, _ in found} == {"GOPROXY", "GOPRIVATE"}
    assert SECRET not in repr(found)


def test_modules_of_the_main_module_and_of_others() -> None:
    main = b"""module example.com/app

go 1.22

godebug default=go1.21

require (
	example.com/a v1.2.3
	example.com/b v0.1.0 // indirect
)

replace example.com/a => ../a

replace example.com/b v0.1.0 => example.com/c v1.0.0
"""
    other = b"module example.com/a\n\nrequire example.com/b v0.2.0\n"

    files = {"app/go.mod": main, "a/go.mod": other, "bad/go.mod": b"(("}
    assert module_inputs(files, "app/go.mod") == [
        ("module", "go of go.mod", "1.22"),
        ("module", "godebug of go.mod", "default=go1.21"),
        ("module", "example.com/a", "v1.2.3"),
        ("module", "example.com/b", "v0.1.0"),
        ("module", "replace example.com/a", "../a"),
        ("module", "replace example.com/b v0.1.0", "example.com/c v1.0.0"),
        ("module", "example.com/b (a/go.mod)", "v0.2.0"),
    ]
