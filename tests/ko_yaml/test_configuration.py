"""`.ko.yaml`: what ko reads of it is read, and what ko passes over is named."""

from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.ko_yaml.configuration import KoBuild, KoConfiguration, parse_configuration


def parse(text: str) -> KoConfiguration:
    return parse_configuration(text.encode(), ".ko.yaml")


def test_everything() -> None:
    assert parse(
        """# ko
defaultBaseImage: registry.example.com/static
baseImageOverrides:
  github.com/Example/App: registry.example.com/glibc
defaultPlatforms: [linux/amd64, linux/arm64]
defaultEnv: [A=b c, D=]
defaultFlags:
- -v
- -tags=x y
defaultLdflags: [-s, -w]
builds:
- id: server
  dir: services
  main: ./cmd/server
  env: [E=1]
  flags: [-tags, netgo]
  ldflags:
  - -s -w
  - -X main.version={{.Env.VERSION}}
  linux_capabilities: [cap_net_bind_service=+ep]
- main: other/main.go
"""
    ) == KoConfiguration(
        default_base_image="registry.example.com/static",
        base_image_overrides=(("github.com/example/app", "registry.example.com/glibc"),),
        default_platforms=("linux/amd64", "linux/arm64"),
        default_env=("A=b c", "D="),
        default_flags=("-v", "-tags=x y"),
        default_ldflags=("-s", "-w"),
        builds=(
            KoBuild(
                id="server",
                directory="services",
                main="./cmd/server",
                env=("E=1",),
                flags=("-tags", "netgo"),
                ldflags=("-s -w", "-X main.version={{.Env.VERSION}}"),
                linux_capabilities=("cap_net_bind_service=+ep",),
                line=12,
            ),
            KoBuild(main="other/main.go", line=21),
        ),
    )


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "builds:\n", "~\n"])
def test_nothing(text: str) -> None:
    assert parse(text) == KoConfiguration()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("DEFAULTBASEIMAGE: a", "default_base_image", "a"),
        (
            "defaultplatforms: linux/amd64 linux/arm64",
            "default_platforms",
            ("linux/amd64", "linux/arm64"),
        ),
        ("defaultFlags: -a -b", "default_flags", ("-a", "-b")),
        ("builds: [{flags: -a  -b}]", "builds", (KoBuild(flags=("-a", "-b"), line=1),)),
        ("builds: [{ldflags: -a -b}]", "builds", (KoBuild(ldflags=("-a -b",), line=1),)),
        (
            "builds: [{Linux_Capabilities: cap_chown}]",
            "builds",
            (KoBuild(linux_capabilities=("cap_chown",), line=1),),
        ),
    ],
)
def test_as_viper_reads_it(text: str, field: str, value: object) -> None:
    assert getattr(parse(text), field) == value


def test_unknown_keys_are_named() -> None:
    assert parse("defaultBaseImages: a\nbuilds:\n- id: x\n  goos: [linux]\n").ignored == (
        ".ko.yaml:1: the key 'defaultBaseImages' has no effect; known are defaultBaseImage, "
        "baseImageOverrides, defaultPlatforms, defaultEnv, defaultFlags, defaultLdflags, builds",
        ".ko.yaml:4: the key 'goos' has no effect; known are id, dir, main, env, flags, ldflags, "
        "linux_capabilities",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", ".ko.yaml:2:1: "),
        ("- a\n", ".ko.yaml:1: expected keys and values, found a list"),
        ("\nbuilds: x\n", ".ko.yaml:2: expected a list, found a text"),
        ("builds:\n- x\n", ".ko.yaml:2: expected keys and values, found a text"),
        ("defaultBaseImage: [a]\n", ".ko.yaml:1: expected a text, found a list"),
        ("defaultEnv: {a: b}\n", ".ko.yaml:1: expected a text, found keys and values"),
        ("defaultEnv: [[a]]\n", ".ko.yaml:1: expected a text, found a list"),
        ("baseImageOverrides: {a: [b]}\n", ".ko.yaml:1: expected a text, found a list"),
        (
            "defaultEnv: [a]\ndefaultenv: [b]\n",
            ".ko.yaml:2: the key 'defaultenv' is in line 1 already",
        ),
    ],
)
def test_bad_files(text: str, message: str) -> None:
    with pytest.raises(KoPantsError) as e:
        parse(text)
    assert message in str(e.value)


def test_other_encodings() -> None:
    with pytest.raises(KoPantsError, match=r"\.ko\.yaml: expected UTF-8"):
        parse_configuration(b"a: \xff", ".ko.yaml")
