"""Numbers in headers: whatever a reply holds, it is a number or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.media_types import OCI_MANIFEST
from ko_pants.oci.reference import Reference
from ko_pants.registry.header_numbers import header_number
from ko_pants.registry.manifests import describe_head


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("12", 12),
        (" 12 ", 12),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("9" * 5000, None),
        ("²", None),
        ("١", None),
        ("-1", None),
        ("1.5", None),
        ("7, 7", None),
        ("", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert header_number(text) == number


@given(st.text())
def test_nothing_raises(text: str) -> None:
    assert header_number(text) is None or header_number(text) == int(text)


@pytest.mark.parametrize("size", ["²", "9" * 5000, "0", ""])
def test_a_manifest_without_a_size_is_not_described(size: str) -> None:
    headers = {
        "docker-content-digest": sha256_digest(b"x"),
        "content-type": OCI_MANIFEST,
        "content-length": size,
    }
    assert describe_head(headers, Reference("r.example", "app", "v1")) is None
