"""What the fields of `oci_files` accept, and what a bad value says when the target is made."""

from __future__ import annotations

from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.target_types import OciFilesFieldSet, OciFilesTarget

ETC = Address("cmd/app", target_name="etc")


def files(**fields: Any) -> OciFilesFieldSet:
    return OciFilesFieldSet.create(OciFilesTarget({"at": "/etc/app", **fields}, ETC))


def test_values_are_parsed() -> None:
    found = files(sources=["a"], at="/srv/", mode="0600", directory_mode="750", owner="7:8")
    assert found.at.value == "/srv"
    assert (found.mode.mode, found.directory_mode.mode, found.owner.ids) == (0o600, 0o750, (7, 8))


def test_an_empty_directory_needs_no_files() -> None:
    assert files(directory_mode="1777").directory_mode.mode == 0o1777


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "expected `sources` or `targets`"),
        ({"owner": "1:1"}, "or `directory_mode` for an empty directory"),
        ({"sources": ["a"], "at": "etc"}, "field `at`: expected an absolute path"),
        ({"sources": ["a"], "at": "/etc/../.."}, "field `at`: expected an absolute path"),
        ({"sources": ["a"], "at": None}, "'at'"),
        ({"sources": ["a"], "mode": "rw"}, "field `mode`: expected three or four octal digits"),
        ({"sources": ["a"], "mode": 0o644}, "'mode' field in target cmd/app:etc must be a string"),
        ({"sources": ["a"], "directory_mode": "9"}, "field `directory_mode`: expected three"),
        ({"sources": ["a"], "owner": "app"}, "field `owner`: expected the numbers of user and"),
        ({"sources": ["/etc/passwd"]}, "field `sources`: expected globs relative to the BUILD"),
        ({"sources": ["../x"]}, "globs with the pattern `../`"),
        ({"sources": ["!../x"]}, "found '!../x'"),
        ({"sources": ["a"], "strip_prefix": ".."}, "field `strip_prefix`: expected a relative"),
        ({"sources": ["a"], "rename": {"a": "/b"}}, "field `rename`: expected a relative path"),
        ({"sources": ["a"], "rename": {"a": "../b"}}, "field `rename`: expected a relative path"),
    ],
)
def test_other_values_are_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidTargetException) as error:
        files(**fields)
    assert text in str(error.value)
    assert "cmd/app:etc" in str(error.value)
