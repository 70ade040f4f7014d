"""`.ko.yaml` in the rules: what a target says comes first, then ko's variables, then the file."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.rules import rule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.products import GoBuild, KoYaml, KoYamlRequest
from ko_pants.rules.binary import find_binary
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageBinaryField


@dataclass(frozen=True)
class BinaryRequest:
    field: GoOciImageBinaryField


@dataclass(frozen=True)
class FoundBinary:
    build: GoBuild


@rule
async def find(request: BinaryRequest) -> FoundBinary:
    found = await find_binary(request.field)
    assert isinstance(found, GoBuild)
    return FoundBinary(found)


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [(FoundBinary, [BinaryRequest]), (Settings, []), (KoYaml, [KoYamlRequest])], rules=[find]
    )


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    for path in Path(engine.build_root).glob("**/*ko.yaml"):
        path.unlink()
    configure(engine)
    return engine


def build(runner: RuleRunner, fields: str, ko_yaml: str, **env: str) -> GoBuild:
    return runner.request(FoundBinary, [request(runner, fields, ko_yaml, **env)]).build


def request(runner: RuleRunner, fields: str, ko_yaml: str, **env: str) -> BinaryRequest:
    runner.write_files(
        {
            ".ko.yaml": ko_yaml,
            "cmd/app/main.go": "package main\n",
            "cmd/app/BUILD": (
                f"go_executable(name='bin'{fields})\ngo_oci_image(name='image', binary=':bin')\n"
            ),
        }
    )
    configure(runner, **env)
    target = runner.get_target(Address("cmd/app", target_name="image"))
    return BinaryRequest(target[GoOciImageBinaryField])


@pytest.mark.parametrize(
    ("field", "key", "attribute", "values"),
    [
        ("flags", "defaultFlags", "flags", ("-v", "-x", "-a", "-work")),
        ("ldflags", "defaultLdflags", "ldflags", ("-s", "-w", "-v", "-d")),
        ("env", "defaultEnv", "env", ("A=1", "A=2", "A=3", "A=4")),
    ],
)
@pytest.mark.parametrize("given", range(16))
def test_order(
    field: str, key: str, attribute: str, values: tuple[str, ...], given: int, runner: RuleRunner
) -> None:
    """The target, then the entry in `builds`, then ko's variable, then the default of the file."""
    of_target, of_entry, of_variable, of_default = (bool(given & 1 << n) for n in range(4))
    entry = f"builds:\n- main: ./cmd/app\n  {field}: ['{values[1]}']\n" if of_entry else ""
    default = f"{key}: ['{values[3]}']\n" if of_default else ""
    found = build(
        runner,
        f", {field}=['{values[0]}']" if of_target else "",
        entry + default,
        **({f"KO_{key.upper()}": values[2]} if of_variable else {}),
    )
    ways = (of_target, of_entry, of_variable, of_default)
    expected: Any = next(((v,) for v, is_given in zip(values, ways) if is_given), ())
    if field == "env":
        expected = tuple(tuple(v.split("=")) for v in expected)
    assert getattr(found, attribute) == expected


@pytest.mark.parametrize(
    ("options", "env", "base", "platforms"),
    [
        ([], {}, "file.example.com/base", ("linux/s390x", "linux/arm64")),
        (
            [],
            {"KO_DEFAULTBASEIMAGE": "env.example.com/base", "KO_DEFAULTPLATFORMS": "linux/arm"},
            "env.example.com/base",
            ("linux/arm",),
        ),
        (
            [
                "--ko-default-base-image=option.example.com/base",
                "--ko-default-platforms=['linux/386']",
            ],
            {"KO_DEFAULTBASEIMAGE": "env.example.com/base", "KO_DEFAULTPLATFORMS": "linux/arm"},
            "option.example.com/base",
            ("linux/386",),
        ),
    ],
)
def test_base_and_platforms(
    options: list[str],
    env: dict[str, str],
    base: str,
    platforms: tuple[str, ...],
    runner: RuleRunner,
) -> None:
    runner.write_files(
        {
            ".ko.yaml": "defaultBaseImage: file.example.com/base\n"
            "defaultPlatforms: ['linux/s390x,linux/arm64']\n"
        }
    )
    configure(runner, *options, **env)
    found = runner.request(Settings, [])
    assert (found.base_image, found.platforms) == (base, platforms)


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        (None, "", ".ko.yaml"),
        (None, "conf", "conf/.ko.yaml"),
        (None, "conf/other-ko.yaml", "conf/other-ko.yaml"),
        ("conf", "nowhere", "conf/.ko.yaml"),
        ("", "conf", ""),
    ],
)
def test_where_the_file_is(
    option: str | None, variable: str, expected: str, runner: RuleRunner
) -> None:
    runner.write_files(dict.fromkeys((".ko.yaml", "conf/.ko.yaml", "conf/other-ko.yaml"), ""))
    options = [] if option is None else [f"--ko-config-path={option}"]
    configure(runner, *options, KO_CONFIG_PATH=variable)
    assert runner.request(KoYaml, [KoYamlRequest()]).path == expected


def test_an_absolute_path_within_the_repository(runner: RuleRunner) -> None:
    runner.write_files({"conf/.ko.yaml": ""})
    configure(runner, KO_CONFIG_PATH=os.path.join(runner.build_root, "conf"))
    assert runner.request(KoYaml, [KoYamlRequest()]).path == "conf/.ko.yaml"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "nowhere",
            "$KO_CONFIG_PATH is 'nowhere'; expected a file, or a directory with a .ko.yaml",
        ),
        ("/etc", "$KO_CONFIG_PATH is '/etc'; expected a file or directory within the build root"),
        ("..", "$KO_CONFIG_PATH is '..'; expected a file or directory within the build root"),
    ],
)
def test_a_file_that_cannot_be_used(value: str, message: str, runner: RuleRunner) -> None:
    configure(runner, KO_CONFIG_PATH=value)
    assert message in error_of(runner, KoYaml, [KoYamlRequest()])


def test_no_file(runner: RuleRunner) -> None:
    assert runner.request(KoYaml, [KoYamlRequest()]).path == ""


def test_what_is_ignored_is_said(runner: RuleRunner, caplog: pytest.LogCaptureFixture) -> None:
    runner.write_files({".ko.yaml": "defaultPlatform: linux/arm64\n"})
    configure(runner)
    with caplog.at_level(logging.WARNING):
        runner.request(KoYaml, [KoYamlRequest()])
    assert ".ko.yaml:1: the key 'defaultPlatform' has no effect" in caplog.text


def test_cgo_that_is_off_may_be_said(runner: RuleRunner) -> None:
    assert build(runner, "", "defaultEnv: [CGO_ENABLED=0, A=b]\n").env == (("A", "b"),)


@pytest.mark.parametrize(
    ("ko_yaml", "message"),
    [
        (
            "\nbuilds:\n- main: cmd/app\n  flags: [-o=x]\n",
            "cmd/app:bin: .ko.yaml:3, `flags`: the flag '-o=x'",
        ),
        (
            "defaultLdflags: [-extld=x]\n",
            "cmd/app:bin: .ko.yaml, `ldflags`: -extld in the flag -ldflags",
        ),
        ("defaultEnv: [CGO_ENABLED=1]\n", "cmd/app:bin: .ko.yaml, `env`: CGO_ENABLED is set by"),
        ("defaultEnv: [A]\n", "cmd/app:bin: .ko.yaml, `env`: expected `NAME=value`, found 'A'"),
        (
            "defaultFlags: ['-tags={{.Env.X | f}}']\n",
            "cmd/app:bin: .ko.yaml, `flags`: the template '{{.Env.X | f}}'",
        ),
    ],
)
def test_bad_values_name_file_and_line(ko_yaml: str, message: str, runner: RuleRunner) -> None:
    assert message in error_of(runner, FoundBinary, [request(runner, "", ko_yaml)])
