from __future__ import annotations

from pathlib import Path

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import (
    build_environment,
    check_go_work,
    parse_env_field,
)
from ko_pants.golang.workspace import find_workspace
from ko_pants.oci.platform import Platform


def test_what_is_always_there() -> None:
    assert build_environment(Platform.parse("linux/arm/v7"), {}, {}) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-modcacherw",
        "GOOS": "linux",
        "GOARCH": "arm",
        "GOARM": "7",
    }


def test_the_target_wins_over_the_outside_and_the_platform_over_both() -> None:
    outside = {"A": "outside", "B": "outside", "PATH": "/opt", "GOOS": "windows"}
    own = {"B": "own", "GOARCH": "386", "CGO_ENABLED": "1"}
    env = build_environment(Platform.parse("linux/amd64"), outside, own)
    assert {name: env[name] for name in ("A", "B", "PATH", "GOOS", "GOARCH", "CGO_ENABLED")} == {
        **{"A": "outside", "B": "own", "PATH": "/opt", "GOOS": "linux", "GOARCH": "amd64"},
        "CGO_ENABLED": "0",
    }


def test_goflags_are_kept() -> None:
    linux = Platform.parse("linux/amd64")
    env = build_environment(linux, {"GOFLAGS": "-outside"}, {"GOFLAGS": "-mod=mod -x"})
    assert env["GOFLAGS"] == "-mod=mod -x -modcacherw"


def test_entries_of_the_field() -> None:
    entries = ["A=1", "B=", "C=a=b", "a b=c"]
    assert parse_env_field(entries, where="w") == (
        *(("A", "1"), ("B", ""), ("C", "a=b"), ("a b", "c")),
    )


@pytest.mark.parametrize("entry", ["A", "", "=1", "="])
def test_malformed_entries(entry: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field(["B=1", entry], where="a:b, field `env`")
    assert str(error.value) == f"a:b, field `env`: expected `NAME=value`, found {entry!r}"


@pytest.mark.parametrize(
    "name",
    [
        *("CGO_ENABLED", "GOOS", "GOARCH", "GOROOT", "GOCACHE", "GOPATH", "GOMODCACHE", "GOENV"),
        *("GOTOOLCHAIN", "GOTOOLDIR", "GOTMPDIR"),
    ],
)
def test_variables_that_the_plugin_sets(name: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field([f"{name}=x"], where="w")
    assert str(error.value) == (
        f"w: {name} is set by the plugin (platforms come from the image's `platforms`, and images "
        "are built with CGO_ENABLED=0); remove it"
    )


def test_a_program_that_hands_out_results_is_refused() -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field(["GOCACHEPROG=/bin/x"], where="a:b, field `env`")
    assert str(error.value) == (
        "a:b, field `env`: GOCACHEPROG names a program that would decide the result of the build; "
        "remove it"
    )


@pytest.mark.parametrize("flag", ["-toolexec=/bin/x", "-overlay=o.json", "--modfile=x.mod", "-n"])
def test_goflags_of_the_field_have_the_same_bans(flag: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field([f"GOFLAGS=-v {flag}"], where="a:b, field `env`")
    assert str(error.value).startswith(f"a:b, field `env`: GOFLAGS: the flag {flag!r} cannot be ")


def test_what_the_plugin_sets_does_not_come_from_outside() -> None:
    outside = dict.fromkeys(("GOTMPDIR", "GOROOT", "GOCACHEPROG", "GOENV", "GOX"), "/x")
    env = build_environment(Platform.parse("linux/amd64"), outside, {})
    assert [name for name, value in env.items() if value == "/x"] == ["GOX"]


@pytest.mark.parametrize(
    ("value", "passed"), [("off", "off"), ("", ""), ("auto", "auto"), ("/repo/go.work", None)]
)
def test_the_path_of_a_go_work_is_not_passed(value: str, passed: str | None) -> None:
    for outside, own in (({"GOWORK": value}, {}), ({"GOWORK": "off"}, {"GOWORK": value})):
        env = build_environment(Platform.parse("linux/amd64"), outside, own)
        assert env.get("GOWORK") == passed


USED = {"svc/go.work": b"go 1.21\nuse ./app\n", "svc/app/go.mod": b"module e.com/app\n"}


def test_the_go_work_that_go_finds_may_be_named(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    (root / "svc").mkdir(parents=True)
    (root / "svc/go.work").touch()
    (tmp_path / "link").symlink_to(root)
    workspace = find_workspace("svc/app", USED)
    for value in (f"{root}/svc/go.work", f"{tmp_path}/link/svc/go.work", "", "off", "auto"):
        check_go_work(value, str(root), workspace)


@pytest.mark.parametrize("value", ["/else/go.work", "go.work", "svc/go.work", "{root}/go.work"])
@pytest.mark.parametrize("use_go_work", [True, False])
def test_another_go_work_is_refused(tmp_path: Path, value: str, use_go_work: bool) -> None:
    value = value.replace("{root}", str(tmp_path))
    workspace = find_workspace("svc/app", USED, use_go_work=use_go_work)
    with pytest.raises(KoPantsError) as error:
        check_go_work(value, str(tmp_path), workspace)
    found = f"{tmp_path}/svc/go.work" if use_go_work else "there is none"
    assert str(error.value) == (
        f"GOWORK is {value!r}; expected the go.work that Go finds in the repo above the main "
        f"package ({found}): unset GOWORK, or set it to `off`"
    )


@pytest.mark.parametrize("entry", ["GOPROXY=https://u:s3cret@x", "HTTPS_PROXY=u:s3cret@proxy:3128"])
def test_credentials_do_not_belong_in_the_field(entry: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field([entry], where="a:b, field `env`")
    assert f"a:b, field `env`: {entry.partition('=')[0]} has a user or password" in str(error.value)
    assert "[ko].go_env_vars" in str(error.value)
    assert "s3cret" not in str(error.value)
