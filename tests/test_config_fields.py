"""A value that is wrong is refused when the target is made, with target, field and value."""

from __future__ import annotations

from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.target_types import GoOciImageTarget

ADDRESS = Address("app", target_name="image")


def value(alias: str, raw: Any) -> Any:
    """The value of a field of a new target."""
    target = GoOciImageTarget({alias: raw}, ADDRESS)
    (found,) = (field.value for kind, field in target.field_values.items() if kind.alias == alias)
    return found


def mistake(alias: str, raw: Any) -> str:
    with pytest.raises(InvalidTargetException) as error:
        GoOciImageTarget({alias: raw}, ADDRESS, description_of_origin="app/BUILD:1")
    return str(error.value)


@pytest.mark.parametrize(
    ("alias", "raw", "expected"),
    [
        ("user", "65532:65532", "65532:65532"),
        ("image_annotations", {"b": "2", "a": ""}, {"a": "", "b": "2"}),
        ("image_labels", {"a": "1"}, {"a": "1"}),
        ("linux_capabilities", ["net_bind_service=ep"], ("net_bind_service=ep",)),
        ("entrypoint_args", ["--a", ""], ("--a", "")),
        ("cmd", ["serve"], ("serve",)),
        ("image_env", ["A=1", "B="], ("A=1", "B=")),
        ("workdir", "/", "/"),
        ("ports", ["8080", "53/udp"], ("8080/tcp", "53/udp")),
        ("ports", [8080, "53/udp"], ("8080/tcp", "53/udp")),
        ("ports", (8080,), ("8080/tcp",)),
        ("volumes", ["/data", "C:\\data"], ("/data", "C:\\data")),
        ("stop_signal", "SIGINT", "SIGINT"),
    ],
)
def test_values(alias: str, raw: Any, expected: Any) -> None:
    found = value(alias, raw)
    assert (dict(found) if isinstance(expected, dict) else found) == expected


@pytest.mark.parametrize(
    "alias", ["linux_capabilities", "entrypoint_args", "cmd", "image_env", "ports", "volumes"]
)
@pytest.mark.parametrize("raw", [None, []])
def test_nothing_said(alias: str, raw: Any) -> None:
    assert not value(alias, raw)


@pytest.mark.parametrize(
    ("alias", "raw", "words"),
    [
        ("user", "", ["found ''", "a user or a user and a group"]),
        ("user", "a b", ["found 'a b'", "without spaces"]),
        ("user", "a:b:c", ["found 'a:b:c'", '"nonroot:nonroot"']),
        ("image_annotations", {"": "x"}, ["the key ''", "org.opencontainers.image.title"]),
        (
            "image_annotations",
            {"org.opencontainers.image.base.name": "x"},
            ["'org.opencontainers.image.base.name'", "`base_image`", "leave it out"],
        ),
        ("image_labels", {" ": "x"}, ["the key ' '"]),
        ("linux_capabilities", ["fly=ep"], ["'fly=ep'", "unknown capability 'fly'"]),
        ("linux_capabilities", ["chown=x"], ["'chown=x'", "unknown flag 'x'"]),
        ("linux_capabilities", ["chown=e"], ["['chown=e']", "leaves no capability"]),
        ("entrypoint_args", ["a\0"], ["found 'a\\x00'", "NUL"]),
        ("cmd", ["a\0"], ["found 'a\\x00'", "NUL"]),
        ("image_env", ["A"], ["found 'A'", "`NAME=value`", 'env("NAME")']),
        ("image_env", ["=1"], ["found '=1'", "`NAME=value`"]),
        ("image_env", ["A=1", "A=2"], ["found 'A' more than once"]),
        ("workdir", "app", ["found 'app'", "an absolute path"]),
        ("ports", ["65536"], ["found '65536'", "from 1 to 65535"]),
        ("ports", [0], ["found '0'", "from 1 to 65535"]),
        ("ports", ["80/http"], ["found '80/http'", "tcp, udp or sctp"]),
        ("volumes", ["data"], ["found 'data'", "an absolute path"]),
        ("volumes", ["/"], ["found '/'", "below the root"]),
        ("stop_signal", "TERM", ["found 'TERM'", "did you mean 'SIGTERM'?"]),
    ],
)
def test_a_mistake_names_target_field_and_value(alias: str, raw: Any, words: list[str]) -> None:
    text = mistake(alias, raw)
    assert text.startswith(f"app/BUILD:1: app:image, field `{alias}`: ")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("alias", "raw"),
    [("ports", [True]), ("ports", 8080), ("user", 65532), ("cmd", "serve")],
)
def test_a_value_of_another_type_is_named_by_pants(alias: str, raw: Any) -> None:
    assert f"The '{alias}' field in target app:image must be" in mistake(alias, raw)
