"""Mistakes in BUILD files are caught when Pants makes the target: no option and no file is read.

Each message names the target and the field, what was found, and what was expected.
"""

from __future__ import annotations

from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException, Target

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.target_types import target_types

TARGETS = {kind.alias: kind for kind in target_types()}
REQUIRED: dict[str, dict[str, Any]] = {
    "oci_files": {"at": "/etc/app", "sources": ["a"]},
    "oci_base_image": {"image": "registry.example.com/static:latest"},
    "go_source": {"source": "a.go"},
}


def make(alias: str, **fields: Any) -> Target:
    values = {**REQUIRED.get(alias, {}), **fields}
    address = Address("svc/app", target_name="image")
    return TARGETS[alias](values, address, description_of_origin="svc/app/BUILD:3")


# (target, fields, the field that the message names, what it says)
MISTAKES: list[tuple[str, dict[str, Any], str, str]] = [
    ("go_oci_image", {"platforms": ["linux/amd46"]}, "platforms", "no architecture 'amd46'"),
    ("go_oci_image", {"platforms": ["linux"]}, "platforms", "malformed platform 'linux'"),
    ("go_oci_image", {"platforms": ["linux/arm/v9"]}, "platforms", "expected one of v5, v6, v7"),
    ("go_oci_image", {"platforms": ["linux/amd64,x/y"]}, "platforms", "unknown platform 'x/y'"),
    ("go_oci_image", {"platforms": ["all", "linux/amd64"]}, "platforms", "Leave out `all`"),
    ("go_oci_image", {"platforms": []}, "platforms", "found no platform; expected for example"),
    ("go_oci_image", {"platforms": "linux/amd64"}, "platforms", "list of strings"),
    ("go_oci_image", {"binary": ""}, "binary", "expected the address of a target"),
    ("go_oci_image", {"binary": [":app"]}, "binary", "a string"),
    ("go_oci_image", {"binaries": [":a", ":a"]}, "binaries", "found ':a' more than once"),
    ("go_oci_image", {"binaries": [" "]}, "binaries", "expected the address of a target"),
    ("go_oci_image", {"delve": ""}, "delve", "expected the address of a target"),
    ("go_oci_image", {"files": [":a", ":b", ":a"]}, "files", "found ':a' more than once"),
    ("go_oci_image", {"base_image": ""}, "base_image", "found an empty text; expected a reference"),
    ("go_oci_image", {"base_image": "Static"}, "base_image", "malformed reference 'Static'"),
    ("go_oci_image", {"base_image": "a/b:c:d"}, "base_image", "malformed reference 'a/b:c:d'"),
    ("go_oci_image", {"base_image": "oci:"}, "base_image", "expected a directory after `oci:`"),
    ("go_oci_image", {"base_image": "u:p@x.test/a"}, "base_image", "a user or password before"),
    ("go_oci_image", {"repository": ""}, "repository", "must be lower-case"),
    ("go_oci_image", {"repository": "shop/{nmae}"}, "repository", "unknown placeholder {nmae}"),
    ("go_oci_image", {"repository": "shop/{name"}, "repository", "belongs to no placeholder"),
    ("go_oci_image", {"repository": "shop/a b"}, "repository", "must be lower-case"),
    ("go_oci_image", {"repository": "shop/a:v1"}, "repository", "must be lower-case"),
    ("go_oci_image", {"repository": "{{.Git.Tag}}"}, "repository", "has double braces"),
    ("go_oci_image", {"registries": ["a.test/team"]}, "registries", "expected a registry `host"),
    ("go_oci_image", {"registries": ["https://a.test"]}, "registries", "https://a.test"),
    ("go_oci_image", {"registries": ["@"]}, "registries", "expected the name of an entry"),
    ("go_oci_image", {"registries": ["ko.local"]}, "registries", "ko.local is no registry"),
    ("go_oci_image", {"image_tags": ["1.2+b5"]}, "image_tags", "the tag '1.2+b5' must be"),
    ("go_oci_image", {"image_tags": ["v 1"]}, "image_tags", "the tag 'v 1' must be"),
    ("go_oci_image", {"image_tags": [""]}, "image_tags", "the tag '' must be"),
    ("go_oci_image", {"image_tags": ["{version}"]}, "image_tags", "unknown placeholder {version}"),
    ("go_oci_image", {"image_tags": ["{{.Git.Tga}}"]}, "image_tags", "{{.Git.Tga}}"),
    ("go_oci_image", {"image_tags": ["{{.Git.Tag}}+x"]}, "image_tags", "the tag 'x+x' must be"),
    ("go_oci_image", {"image_tags": "v1"}, "image_tags", "list of strings"),
    ("go_oci_image", {"image_labels": {"": "x"}}, "image_labels", "found the key ''"),
    ("go_oci_image", {"image_labels": {"a": 1}}, "image_labels", "string -> string"),
    ("go_oci_image", {"image_labels": {"a": "{{.Nope}}"}}, "image_labels", "{{.Nope}}"),
    (
        "go_oci_image",
        {"image_annotations": {"org.opencontainers.image.base.name": "x"}},
        "image_annotations",
        "leave it out",
    ),
    ("go_oci_image", {"user": "a b"}, "user", "found 'a b'; expected a user"),
    ("go_oci_image", {"linux_capabilities": ["net_bin"]}, "linux_capabilities", "net_bin"),
    ("go_oci_image", {"image_env": ["LOG"]}, "image_env", "found 'LOG'; expected `NAME=value`"),
    ("go_oci_image", {"image_env": ["A=1", "A=2"]}, "image_env", "found 'A' more than once"),
    ("go_oci_image", {"workdir": "app"}, "workdir", "expected an absolute path"),
    ("go_oci_image", {"ports": [0]}, "ports", "found '0'; expected a port from 1 to 65535"),
    ("go_oci_image", {"ports": ["http"]}, "ports", "found 'http'; expected a port"),
    ("go_oci_image", {"volumes": ["/"]}, "volumes", "expected a directory below the root"),
    ("go_oci_image", {"stop_signal": "TERM"}, "stop_signal", "did you mean 'SIGTERM'?"),
    ("go_oci_image", {"cmd": ["a\0"]}, "cmd", "expected an argument without NUL"),
    ("go_oci_image", {"kodata": "../.."}, "kodata", "expected a directory relative"),
    ("go_oci_image", {"kodata": "/etc"}, "kodata", "expected a directory relative"),
    ("go_oci_image", {"compression": "gz"}, "compression", "gzip"),
    ("go_oci_image", {"compression_level": "1"}, "compression_level", "integer"),
    (
        "go_oci_image",
        {"compression": "gzip", "compression_level": 13},
        "compression_level",
        "has no compression level 13",
    ),
    ("go_oci_image", {"compression_level": 23}, "compression_level", "expected 0 to 22"),
    ("go_oci_image", {"compression_level": -1}, "compression_level", "expected 0 to 22"),
    ("go_oci_image", {"package_formats": ["tar"]}, "package_formats", "there is no format 'tar'"),
    ("go_oci_image", {"sbom": ["spdx2"]}, "sbom", "spdx2"),
    ("go_oci_image", {"skip_push": "yes"}, "skip_push", "a boolean"),
    (
        "go_oci_image",
        {"debug": True, "platforms": ["linux/amd64", "linux/s390x"]},
        "debug",
        "found the platforms linux/s390x; a debug image can be for",
    ),
    (
        "go_oci_image",
        {"workdir": "C:\\app", "platforms": ["linux/amd64"]},
        "workdir",
        "is no absolute path on linux/amd64",
    ),
    (
        "go_oci_image",
        {"volumes": ["/data"], "platforms": ["linux/amd64", "windows/amd64"]},
        "volumes",
        "is no absolute path on windows/amd64",
    ),
    (
        "go_oci_image",
        {"image_env": ["Path=a", "PATH=b"], "platforms": ["windows/amd64"]},
        "image_env",
        "are one name on windows/amd64",
    ),
    (
        "go_oci_image",
        {"linux_capabilities": ["net_bind_service=ep"], "platforms": ["windows/amd64"]},
        "linux_capabilities",
        "only executables for Linux have capabilities",
    ),
    ("go_oci_image", {"environment": ""}, "environment", "expected a name of"),
    ("go_executable", {"environment": " "}, "environment", "expected a name of"),
    ("go_executable", {"main": "/cmd"}, "main", "within the build root; found '/cmd'"),
    ("go_executable", {"main": "../../../cmd"}, "main", "within the build root"),
    ("go_executable", {"main": "cmd", "package": "a.test/x"}, "main", "expected one of them"),
    ("go_executable", {"package": "a.test/x@v1"}, "package", "without a version"),
    ("go_executable", {"flags": ["tags=a"]}, "flags", "found 'tags=a'"),
    ("go_executable", {"flags": ["-o=x"]}, "flags", "the flag '-o=x' cannot be used"),
    ("go_executable", {"flags": "-v"}, "flags", "list of strings"),
    ("go_executable", {"flags": ["-tags={{.X}}"]}, "flags", "{{.X}}"),
    ("go_executable", {"ldflags": ["-linkmode=external"]}, "ldflags", "-linkmode"),
    ("go_executable", {"env": ["GOOS=linux"]}, "env", "GOOS is set by the plugin"),
    ("go_executable", {"env": ["A"]}, "env", "expected `NAME=value`, found 'A'"),
    ("oci_base_image", {"image": "scratch"}, "image", "which has nothing to lock"),
    ("oci_base_image", {"image": "a.test/B:v1"}, "image", "must be lower-case"),
    ("oci_base_image", {"image": None}, "image", "must be defined"),
    ("oci_files", {"at": "etc"}, "at", "expected an absolute path in the image"),
    ("oci_files", {"sources": ["../x"]}, "sources", "must not have globs with the pattern `../`"),
    ("oci_files", {"sources": []}, "sources", "the files of this layer"),
    ("oci_files", {"targets": [":a", ":a"]}, "targets", "found ':a' more than once"),
    ("oci_files", {"mode": "755x"}, "mode", "octal digits"),
    ("oci_files", {"mode": 755}, "mode", "a string"),
    ("oci_files", {"owner": "root"}, "owner", "numbers of user and group"),
    ("oci_files", {"strip_prefix": "/a"}, "strip_prefix", "expected a relative path"),
    ("oci_files", {"rename": {"a": "/b"}}, "rename", "expected a relative path"),
    ("oci_files", {"rename": {"a": "c", "b": "c"}}, "rename", "found 'c' for 'a' and for 'b'"),
    ("kubernetes_manifests", {"selector": "a=b=c"}, "selector", "label selector"),
    ("kubernetes_manifests", {"registry": "a.test/team"}, "registry", "expected a registry `host"),
]


@pytest.mark.parametrize(
    ("alias", "fields", "field", "text"),
    MISTAKES,
    ids=[f"{alias}-{field}-{index}" for index, (alias, _, field, _) in enumerate(MISTAKES)],
)
def test_a_mistake(alias: str, fields: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(InvalidTargetException) as error:
        make(alias, **fields)
    message = str(error.value)
    assert message.startswith("svc/app/BUILD:3: ")
    assert "svc/app:image" in message
    assert field in message
    assert text in message


RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("go_oci_image", {"platforms": ["all"], "debug": True}),
    ("go_oci_image", {"platforms": ["linux/amd64", "linux/arm64, linux/arm/v7"]}),
    ("go_oci_image", {"platforms": ["windows/amd64:10.0.20348"]}),
    ("go_oci_image", {"base_image": "//images:static"}),
    ("go_oci_image", {"base_image": "oci:images/static:v1"}),
    ("go_oci_image", {"base_image": "registry.example.com:5000/a/b:v1@sha256:" + 64 * "a"}),
    ("go_oci_image", {"repository": "Shop/{full_directory}/{default_repository}-{md5}"}),
    ("go_oci_image", {"registries": ["@prod", "a.test:5000", "<all default registries>"]}),
    ("go_oci_image", {"registries": []}),
    ("go_oci_image", {"image_tags": ["{{.Git.Tag}}-{pants.hash}", "{{.Env.X}}", "latest"]}),
    ("go_oci_image", {"image_tags": ["{target_repository}"]}),
    ("go_oci_image", {"image_tags": []}),
    ("go_oci_image", {"compression_level": 22}),
    ("go_oci_image", {"workdir": "C:\\app", "platforms": ["all"]}),
    ("go_oci_image", {"workdir": "C:\\app", "platforms": ["windows/amd64"]}),
    ("go_executable", {"flags": ["-tags={{.Env.TAGS}}"], "ldflags": ["-X", "main.v={{.Date}}"]}),
    ("go_executable", {"main": "../../cmd/x.go", "env": ["GOFLAGS=-v"]}),
    ("oci_files", {"rename": {"a": "b", "b": "a"}}),
]


@pytest.mark.parametrize(("alias", "fields"), RIGHT)
def test_what_is_no_mistake(alias: str, fields: dict[str, Any]) -> None:
    target = make(alias, **fields)
    values: dict[str, Any] = {f.alias: f.value for f in target.field_values.values()}
    for name, value in fields.items():
        kept = dict(values[name]) if isinstance(value, dict) else values[name]
        assert kept == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("alias", "name", "meant"),
    [
        ("go_oci_image", "platfroms", "platforms"),
        ("go_oci_image", "image_tag", "image_tags"),
        ("go_oci_image", "base", "base_image"),
        ("go_executable", "ld_flags", "ldflags"),
        ("oci_files", "modes", "mode"),
    ],
)
def test_an_unknown_field_that_is_like_a_known_one(alias: str, name: str, meant: str) -> None:
    with pytest.raises(InvalidTargetException) as error:
        make(alias, **{name: ["x"]})
    text = str(error.value)
    assert text.startswith(f"svc/app/BUILD:3: Unrecognized field `{name}=")
    assert text.count("BUILD:3") == 1
    assert text.endswith(f"Did you mean `{meant}`?")


def test_an_unknown_field_that_is_like_none() -> None:
    with pytest.raises(InvalidTargetException) as error:
        make("go_oci_image", dockerfile="x")
    assert "Did you mean" not in str(error.value)
