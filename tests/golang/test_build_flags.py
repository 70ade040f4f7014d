from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_flags import (
    BuildSettings,
    Flag,
    build_settings,
    check_flags,
    check_goflags,
    check_vet_arguments,
    parse_flags,
    parse_goflags,
    profile_path,
    vet_build_flags,
)


def test_flags_with_their_values() -> None:
    assert list(parse_flags(["-a", "--b=c=d", "-f", "e", "-unknown", "-v=false", "-tags="])) == [
        Flag("-a", "a", "true"),
        Flag("--b=c=d", "b", "c=d"),
        Flag("-f", "f", "e"),
        Flag("-unknown", "unknown", ""),
        Flag("-v=false", "v", "false"),
        Flag("-tags=", "tags", ""),
    ]
    # What needs a value takes the next word, whatever it is.
    assert list(parse_flags(["-tags", "-v", "-p"])) == [
        Flag("-tags", "tags", "-v"),
        Flag("-p", "p", ""),
    ]
    assert list(parse_flags(["-Xa=b"])) == [Flag("-Xa=b", "Xa", "b")]
    assert list(parse_flags([])) == []


@pytest.mark.parametrize("words", [["x"], ["-v", "x"], ["-"], ["--"], ["---v"], ["-=v"], [""]])
def test_words_that_are_no_flags(words: list[str]) -> None:
    with pytest.raises(KoPantsError) as error:
        check_flags(words, where="a:b, field `flags`")
    assert str(error.value) == (
        f"a:b, field `flags`: expected flags such as `-tags=netgo`, found {words[-1]!r}"
    )


@pytest.mark.parametrize(
    ("goflags", "expected"),
    [
        ("-a  '-ldflags=-X a'\t\"-tags=x y\"", ["-a", "-ldflags=-X a", "-tags=x y"]),
        ("", []),
        # As in Go, a quote counts only at the begin of a word, and nothing escapes it.
        ("-tags='a -b", ["-tags='a", "-b"]),
        (r"'-tags=a\' -b", ["-tags=a\\", "-b"]),
        ("''", []),
        # Go takes no value from the next word, and reports these.
        ("-a -mod vendor -b", ["-a", "-mod"]),
        ("-a '-b", ["-a"]),
        ("---x", []),
    ],
)
def test_flags_in_goflags(goflags: str, expected: list[str]) -> None:
    assert [flag.text for flag in parse_goflags(goflags)] == expected


REFUSED = [
    *("-toolexec=/bin/x", "-exec=x", "-o=x", "-C=x", "-n", "-overlay=o.json", "-modfile=x.mod"),
    *("-json", "-pkgdir=x", "-linkshared", "-vettool=x", "-gccgoflags=-O2", "-compiler=gccgo"),
    *("-buildvcs", "-buildvcs=auto", "-buildvcs=true", "-trimpath=false", "-trimpath=0"),
    *("-buildmode=plugin", "-buildmode=c-shared", "-debug-trace=x", "-debug-actiongraph=x"),
    *("-pgo=/tmp/cpu.pprof", "-unknown=/etc/x", "-unknown=../x"),
    *(
        "-ldflags=-extld=/bin/x",
        "-ldflags=-s -extld gcc",
        "-ldflags=all=-extar=x",
        "-ldflags=-L=/x",
    ),
    *("-ldflags=-linkmode=external", "-ldflags=-s '-linkmode' 'external'", "-ldflags=-L /lib"),
    *("-ldflags=--importcfg=x", "-ldflags=-cpuprofile=x", "-ldflags= -tmpdir=x", "-ldflags=-o x"),
    *("-gcflags=-I=/x", "-gcflags=all=-embedcfg=x", "-gcflags=./...=-N -pgoprofile=x"),
    *("-gcflags=-trimpath=x", "-asmflags=-I=/usr/include", "-asmflags=all=-I /usr/include"),
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_something_beside_the_inputs_decides_is_refused(text: str) -> None:
    name, _, value = text.lstrip("-").partition("=")
    shown = repr(text) if "flags" not in name or name == "gccgoflags" else f"in the flag -{name} "
    forms = [[text], [f"-{text}"], ["-v", text]]
    if value and name not in ("buildvcs", "trimpath"):
        forms.append([f"-{name}", value])
    for words in forms:
        with pytest.raises(KoPantsError) as error:
            check_flags(words, where="a:b, field `flags`")
        assert str(error.value).startswith("a:b, field `flags`: ")
        assert "cannot be used: " in str(error.value)
        assert "; remove it" in str(error.value)
        assert f"-{name}" in str(error.value)
    if "'" not in text:
        with pytest.raises(KoPantsError) as error:
            check_goflags(f"-v '{text}'", where="GOFLAGS")
        assert str(error.value).startswith("GOFLAGS: ")
        assert shown in str(error.value)


def test_other_linker_flags_are_not_shown() -> None:
    with pytest.raises(KoPantsError) as error:
        check_flags(["-ldflags=-X main.token=s3cret -extld=gcc"], where="w")
    assert str(error.value) == (
        "w: -extld in the flag -ldflags cannot be used: it names a program that would run in the "
        "build and decide its result; remove it"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("-race", "-cover", "-covermode=atomic", "-coverpkg=./...", "-v", "-x", "-work", "-a"),
        *("-mod=vendor", "-modcacherw", "-p=4", "-tags=/x", "-installsuffix=x", "-unknown=x"),
        *("-buildvcs=false", "-trimpath", "-trimpath=true", "-buildmode=pie", "-compiler=gc"),
        *("-pgo=off", "-pgo=auto", "-pgo=prof/cpu.pprof", "-pgo=../cpu.pprof"),
        *(
            "-ldflags=-s -X main.path=/etc/x -buildid=",
            "-ldflags=",
            "-ldflags=-linkmode=internal",
        ),
        *("-ldflags=-extldflags=-static", "-ldflags=-X=main.flag=-extld", "-ldflags=-I /lib/ld.so"),
        *("-gcflags=all=-N -l", "-gcflags=example.com/I=-m", "-asmflags=-D=X", "-count=1"),
    ],
)
def test_other_flags_are_for_go(text: str) -> None:
    check_flags([text], where="w")
    check_goflags(f"'{text}'", where="w")


def test_flags_with_a_value_in_the_next_word() -> None:
    check_flags(["-ldflags", "-s -w", "-tags", "a b", "-pgo", "off", "-mod", "mod"], where="w")
    # Not the flag -o, but a tag.
    check_flags(["-tags", "-o"], where="w")


@pytest.mark.parametrize(
    ("profile", "module", "path"),
    [
        ("prof/cpu.pprof", "", "prof/cpu.pprof"),
        ("prof/cpu.pprof", "svc", "svc/prof/cpu.pprof"),
        ("./a/../cpu.pprof", "svc", "svc/cpu.pprof"),
        ("../cpu.pprof", "svc", "cpu.pprof"),
    ],
)
def test_the_path_of_a_profile(profile: str, module: str, path: str) -> None:
    assert profile_path(profile, module) == path


@pytest.mark.parametrize(("profile", "module"), [("../x", ""), ("../../x", "svc"), ("..", "")])
def test_a_profile_outside_of_the_repo(profile: str, module: str) -> None:
    with pytest.raises(KoPantsError) as error:
        profile_path(profile, module)
    assert f"-pgo names {profile!r}, which is outside of the build root" in str(error.value)


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
        (["-mod=vendor"], {}, BuildSettings((), "vendor", True)),
        (["--mod", "mod"], {}, BuildSettings((), "mod", True)),
        # The command line wins.
        (["-mod=mod"], {"GOFLAGS": "-mod=vendor -tags=x"}, BuildSettings(("x",), "mod", True)),
        (["-tags=y"], {"GOFLAGS": "-tags=x"}, BuildSettings(("y",), "", True)),
        (["-tags=y"], {"GOFLAGS": "'-tags=x"}, BuildSettings(("y",), "", True)),
        ([], {"GOWORK": "off"}, BuildSettings((), "", False)),
        ([], {"GOWORK": ""}, BuildSettings((), "", True)),
        ([], {"GOWORK": "/x/go.work"}, BuildSettings((), "", True)),
        (["-pgo=a.pprof"], {}, BuildSettings((), "", True, "a.pprof")),
        (["-pgo", "off"], {"GOFLAGS": "-pgo=a.pprof"}, BuildSettings((), "", True)),
        (["-pgo=auto"], {}, BuildSettings((), "", True)),
        ([], {"GOFLAGS": "'-pgo=a b' -mod vendor"}, BuildSettings((), "", True, "a b")),
    ],
)
def test_settings(flags: list[str], env: dict[str, str], expected: BuildSettings) -> None:
    assert build_settings(flags, env) == expected


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ((), ()),
        (("-tags", "a,b", "-v", "-a"), ("-tags=a,b",)),
        (("--tags=a", "-ldflags=-s", "-cover", "-p=3"), ("-tags=a",)),
        (("-gcflags=all=-N -l", "-race"), ("-gcflags=all=-N -l", "-race=true")),
        (("-mod=mod", "-pgo=off", "-buildmode=pie"), ("-mod=mod", "-pgo=off", "-buildmode=pie")),
    ],
)
def test_go_vet_gets_the_flags_that_decide_what_is_built(
    flags: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    assert vet_build_flags(flags) == kept


def test_arguments_of_go_vet_choose_checks() -> None:
    check_vet_arguments(["-copylocks=false", "-printf.funcs=Logf,Wrapf", "-unreachable"], where="o")


@pytest.mark.parametrize(
    "word",
    ["", "x", "-", "-json", "-vettool=/bin/x", "-fix", "-o=x", "-tags=a", "-n", "-a b", "-x\n"],
)
def test_other_arguments_of_go_vet_are_refused(word: str) -> None:
    with pytest.raises(KoPantsError, match=r"option o: found .*; expected flags that choose"):
        check_vet_arguments([word], where="option o")
