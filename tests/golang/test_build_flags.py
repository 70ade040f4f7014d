from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_flags import (
    REFUSED_FLAGS,
    BuildSettings,
    Flag,
    build_settings,
    check_flags,
    parse_flags,
    split_goflags,
)


def test_flags_with_their_values() -> None:
    assert list(parse_flags(["-a", "--b=c=d", "e", "-f", "-g", "h", "-tags="])) == [
        Flag("-a", "a", "--b=c=d"),
        Flag("--b=c=d", "b", "c=d"),
        Flag("-f", "f", "-g"),
        Flag("-g", "g", "h"),
        Flag("-tags=", "tags", ""),
    ]
    assert list(parse_flags(["-Xa=b"])) == [Flag("-Xa=b", "Xa", "b")]
    assert list(parse_flags(["-a"])) == [Flag("-a", "a", "")]
    assert list(parse_flags([])) == []


def test_words_of_goflags() -> None:
    assert split_goflags("-a  '-ldflags=-X a' -b") == ["-a", "-ldflags=-X a", "-b"]
    assert split_goflags("") == []
    # Go reports it.
    assert split_goflags("-a '-b") == []


@pytest.mark.parametrize("name", ["toolexec", "o", "C", "n", "exec", "overlay", "modfile"])
def test_refused_flags(name: str) -> None:
    assert name in REFUSED_FLAGS
    for flag in (f"-{name}", f"--{name}", f"-{name}=x"):
        with pytest.raises(KoPantsError) as error:
            check_flags(["-race", flag], where="a:b, field `flags`")
        assert str(error.value) == (
            f"a:b, field `flags`: the flag {flag!r} cannot be used: the build runs in a sandbox "
            "and its output is taken from there; remove it"
        )


@pytest.mark.parametrize("flag", ["-race", "o", "-ldflags=-o", "-out", "-c", "-x=n", "-gcflags=-N"])
def test_other_flags_are_for_go(flag: str) -> None:
    check_flags([flag, "-v"], where="w")


@pytest.mark.parametrize(
    ("flags", "env", "expected"),
    [
        ([], {}, BuildSettings((), "", True)),
        (["-tags=b,a"], {}, BuildSettings(("a", "b"), "", True)),
        (["-tags", "b a,,c"], {}, BuildSettings(("a", "b", "c"), "", True)),
        (["--tags=a", "-tags=b"], {}, BuildSettings(("b",), "", True)),
        (["-tags=a", "-tags="], {}, BuildSettings((), "", True)),
        (["-tags"], {}, BuildSettings((), "", True)),
        (["-tags=a", "-race=false", "-p", "4"], {}, BuildSettings(("a",), "", True)),
        (["tags=a"], {}, BuildSettings((), "", True)),
        (["-mod=vendor"], {}, BuildSettings((), "vendor", True)),
        (["--mod", "mod"], {}, BuildSettings((), "mod", True)),
        # The command line wins.
        (["-mod=mod"], {"GOFLAGS": "-mod=vendor -tags=x"}, BuildSettings(("x",), "mod", True)),
        (["-tags=y"], {"GOFLAGS": "-tags=x"}, BuildSettings(("y",), "", True)),
        (["-tags=y"], {"GOFLAGS": "'-tags=x"}, BuildSettings(("y",), "", True)),
        ([], {"GOWORK": "off"}, BuildSettings((), "", False)),
        ([], {"GOWORK": ""}, BuildSettings((), "", True)),
        ([], {"GOWORK": "/x/go.work"}, BuildSettings((), "", True)),
    ],
)
def test_settings(flags: list[str], env: dict[str, str], expected: BuildSettings) -> None:
    assert build_settings(flags, env) == expected
