"""Descriptors: read from anything, written as Go writes them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest, sorted_pairs
from ko_pants.oci.platform import Platform

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
GOOD: dict[str, Any] = {"mediaType": mt.OCI_LAYER_GZIP, "digest": DIGEST, "size": 12}

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DIGEST, True),
        (f"sha256:{HEX}\n", False),
        (f"sha256:{HEX.upper()}", False),
        (f"sha256:{HEX[1:]}", False),
        (f"sha512:{HEX}{HEX}", False),
        (f"sha256:../../{HEX[6:]}", False),
        (HEX, False),
        ("", False),
        (None, False),
        (12, False),
    ],
)
def test_what_a_digest_is(value: object, expected: bool) -> None:
    assert is_digest(value) is expected


def test_the_digest_of_bytes_is_sha256s() -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_digest(b"") == empty


def test_a_descriptor_is_written_with_the_keys_that_have_a_value_in_gos_order() -> None:
    assert list(Descriptor(mt.OCI_CONFIG, DIGEST, 2).to_json().items()) == [
        ("mediaType", mt.OCI_CONFIG),
        ("size", 2),
        ("digest", DIGEST),
    ]
    full = Descriptor(
        mt.OCI_MANIFEST,
        DIGEST,
        2,
        annotations=(("a", "1"), ("b", "2")),
        platform=Platform("linux", "arm", "v7"),
        urls=("https://example.com/layer",),
    ).to_json()
    assert list(full) == ["mediaType", "size", "digest", "urls", "annotations", "platform"]
    assert full["annotations"] == {"a": "1", "b": "2"}
    assert full["platform"] == {"os": "linux", "architecture": "arm", "variant": "v7"}


@given(
    st.builds(
        Descriptor,
        st.text(),
        st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
        st.integers(min_value=0),
        st.dictionaries(st.text(), st.text()).map(sorted_pairs),
        st.one_of(st.none(), st.builds(Platform, st.text(), st.text(), st.text(), st.text())),
        st.lists(st.text()).map(tuple),
    )
)
def test_a_descriptor_comes_back_as_it_went(descriptor: Descriptor) -> None:
    document = json.loads(json.dumps(descriptor.to_json()))
    assert Descriptor.from_json(document, where="index.json") == descriptor
    assert hash(descriptor) == hash(Descriptor.from_json(document, where="index.json"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"digest": None}, "sha256 digest, found None"),
        ({"digest": "sha256:12"}, "sha256 digest, found 'sha256:12'"),
        ({"digest": "sha256:../../../../etc/passwd"}, "sha256 digest, found"),
        ({"digest": ["x"]}, "sha256 digest, found ['x']"),
        ({"size": None}, "size in bytes, found None"),
        ({"size": -1}, "size in bytes, found -1"),
        ({"size": 1.5}, "size in bytes, found 1.5"),
        ({"size": True}, "size in bytes, found True"),
        ({"size": "12"}, "size in bytes, found '12'"),
        ({"mediaType": 3}, "media type, found 3"),
    ],
)
def test_a_damaged_descriptor_says_where_and_what(change: dict[str, Any], found: str) -> None:
    with pytest.raises(KoPantsError) as e:
        Descriptor.from_json({**GOOD, **change}, where="base image app")
    assert str(e.value).startswith("base image app: expected a ")
    assert found in str(e.value)


@pytest.mark.parametrize("obj", [None, [], "x", 3, True])
def test_something_else_in_place_of_a_descriptor(obj: object) -> None:
    with pytest.raises(KoPantsError, match=r"^here: expected a descriptor \(a JSON object\)"):
        Descriptor.from_json(obj, where="here")


def test_what_may_be_missing_and_what_is_unknown_is_left_out() -> None:
    found = Descriptor.from_json(
        {"digest": DIGEST, "size": 0, "annotations": None, "urls": None, "data": "e30="}, where="x"
    )
    assert found == Descriptor("", DIGEST, 0)


def test_annotations_and_urls_are_read() -> None:
    more = {"annotations": {"b": "2", "a": "1"}, "urls": ["https://example.com/1", "x"]}
    found = Descriptor.from_json({**GOOD, **more}, where="x")
    assert found.annotations == (("a", "1"), ("b", "2"))
    assert found.urls == ("https://example.com/1", "x")


@pytest.mark.parametrize("value", ["text", 3, True, [3], {"a": 1}])
def test_annotations_and_urls_of_another_shape_do_no_harm(value: object) -> None:
    found = Descriptor.from_json({**GOOD, "annotations": value, "urls": value}, where="x")
    assert Descriptor.from_json(found.to_json(), where="x") == found


def test_an_error_does_not_repeat_megabytes() -> None:
    with pytest.raises(KoPantsError) as e:
        Descriptor.from_json({**GOOD, "digest": "x" * 1_000_000}, where="here")
    assert len(str(e.value)) < 300


@given(
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {"digest": st.just(DIGEST), "size": st.integers(min_value=0)},
            optional={"mediaType": JSON, "annotations": JSON, "urls": JSON, "platform": JSON},
        ),
    )
)
def test_any_json_is_a_descriptor_or_an_error_for_the_user(obj: object) -> None:
    with contextlib.suppress(KoPantsError):
        found = Descriptor.from_json(obj, where="here")
        assert Descriptor.from_json(found.to_json(), where="here") == found
