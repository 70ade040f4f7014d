"""What a map file may contain: ours, ko's, or damage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kocache.samples import AMD64, GZIP, GZIP6, HERE, ZSTD, digest, ko_entry, layer

from ko_pants.errors import KoPantsError
from ko_pants.kocache import maps
from ko_pants.kocache.maps import CachedLayer, LayerRecord
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor

DIFF_ID = layer().diff_id
RECORD = LayerRecord(layer(), ("one", "two"))
TOC = ("containerd.io/snapshot/stargz/toc.digest", digest("toc"))


def descriptor(**other: Any) -> Descriptor:
    own = layer().descriptor
    given = {"media_type": own.media_type, "digest": own.digest, "size": own.size, **other}
    return Descriptor(**given)


def test_the_newest_eight_keys_of_a_layer_are_kept() -> None:
    record = LayerRecord(layer(), ())
    for number in range(20):
        record = record.with_key(str(number))
    assert record == LayerRecord(layer(), tuple(str(number) for number in range(12, 20)))


def test_a_key_that_is_there_becomes_the_newest() -> None:
    record = LayerRecord(layer(), ("one", "two", "three"))
    assert record.with_key("one").keys == ("two", "three", "one")
    assert record.without_key("two") == LayerRecord(layer(), ("one", "three"))
    assert record.without_key("four") == record


def test_a_record_is_read_as_it_was_written() -> None:
    value = RECORD.to_json(HERE)
    assert maps.own_record(HERE, DIFF_ID, value) == RECORD
    assert maps.own_record(HERE, DIFF_ID, json.loads(json.dumps(value))) == RECORD


def test_a_record_has_the_form_that_all_versions_read() -> None:
    """Byte for byte: the check value is over all of it, so another form is a miss for everybody."""
    annotated = LayerRecord(CachedLayer(DIFF_ID, descriptor(annotations=(TOC,)), GZIP), ("k;é",))
    assert maps.encode_map({DIFF_ID: annotated.to_json(HERE)}).decode() == (
        "{\n"
        f'  "{DIFF_ID}": {{\n'
        '    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",\n'
        '    "size": 100,\n'
        f'    "digest": "{layer().descriptor.digest}",\n'
        '    "annotations": {\n'
        f'      "{TOC[0]}": "{TOC[1]}",\n'
        '      "dev.ko-pants.format": 1,\n'
        f'      "dev.ko-pants.compressor": "{GZIP}",\n'
        '      "dev.ko-pants.keys": [\n'
        '        "k;\\u00e9"\n'
        "      ],\n"
        '      "dev.ko-pants.check": "0a5b5a9ba093c2b384d46606aade9b0b"\n'
        "    }\n"
        "  }\n"
        "}\n"
    )


def without(path: str) -> dict[str, Any]:
    return changed(path, ...)


def changed(path: str, new: object) -> dict[str, Any]:
    """A sound record with another value at `path`, or none there for `...`."""
    value = RECORD.to_json(HERE)
    *parents, last = path.split("/")
    place = value
    for parent in parents:
        place = place[parent]
    if new is ...:
        del place[last]
    else:
        place[last] = new
    return value


DAMAGED: list[object] = [
    None,
    [],
    "text",
    {},
    without("annotations"),
    changed("annotations", []),
    without("annotations/dev.ko-pants.format"),
    changed("annotations/dev.ko-pants.format", 2),
    changed("annotations/dev.ko-pants.format", "1"),
    changed("annotations/dev.ko-pants.format", True),
    without("annotations/dev.ko-pants.compressor"),
    changed("annotations/dev.ko-pants.compressor", GZIP6),
    changed("annotations/dev.ko-pants.compressor", 1),
    without("annotations/dev.ko-pants.keys"),
    changed("annotations/dev.ko-pants.keys", ["one"]),
    changed("annotations/dev.ko-pants.keys", ["two", "one"]),
    changed("annotations/dev.ko-pants.keys", "one"),
    changed("annotations/dev.ko-pants.keys", [1]),
    without("annotations/dev.ko-pants.check"),
    changed("annotations/dev.ko-pants.check", "0" * 32),
    changed("annotations/other", "more"),
    changed("mediaType", media_types.OCI_LAYER_ZSTD),
    changed("digest", digest("other")),
    changed("digest", "sha256:short"),
    changed("size", 101),
    changed("size", "100"),
    changed("size", True),
]


@pytest.mark.parametrize("value", DAMAGED, ids=range(len(DAMAGED)))
def test_a_record_with_any_change_is_no_record(value: object) -> None:
    assert maps.own_record(HERE, DIFF_ID, value) is None


@pytest.mark.parametrize(
    "wrong",
    [
        LayerRecord(layer(), (1,)),  # type: ignore[arg-type]
        LayerRecord(CachedLayer(DIFF_ID, descriptor(), 5), ()),  # type: ignore[arg-type]
        LayerRecord(CachedLayer("no digest", descriptor(), GZIP), ("one",)),
    ],
)
def test_a_record_with_wrong_types_is_none_even_if_it_is_checked(wrong: LayerRecord) -> None:
    value = wrong.to_json(HERE)
    assert maps.own_record(HERE, wrong.layer.diff_id, value) is None


def test_a_record_in_another_place_is_no_record() -> None:
    value = RECORD.to_json(HERE)
    assert maps.own_record("bin/example.com/other/linux/amd64", DIFF_ID, value) is None
    assert maps.own_record(HERE, digest("other"), value) is None
    assert maps.own_record(HERE, "no digest", value) is None


def test_an_annotation_is_text() -> None:
    """1 and "1" would have one check value."""
    record = LayerRecord(CachedLayer(DIFF_ID, descriptor(annotations=(("a", "1"),)), GZIP), ("k",))
    value = record.to_json(HERE)
    assert maps.own_record(HERE, DIFF_ID, value) == record
    value["annotations"]["a"] = 1
    assert maps.own_record(HERE, DIFF_ID, value) is None


def test_what_ko_could_read_is_kos() -> None:
    ((diff_id, value),) = ko_entry(3).items()
    mores: list[dict[str, Any]] = [{"annotations": {"a": "b"}}, {"annotations": None}]
    expected = CachedLayer(
        diff_id, Descriptor(media_types.OCI_LAYER_GZIP, digest("by ko", 3), 55), "unknown"
    )
    assert maps.foreign_layer(diff_id, value) == expected
    for more in (*mores, {"annotations": {}}):
        assert maps.foreign_layer(diff_id, {**value, **more}) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": {"a": 1}},
        {"annotations": ["a"]},
        {"annotations": "a"},
        {"annotations": {"dev.ko-pants.format": "1"}},
        {"annotations": {"dev.ko-pants.keys": "damaged"}},
        {"urls": ["dev.ko-pants.check"]},
        {"digest": "sha256:short"},
        {"size": -1},
        {"mediaType": media_types.OCI_MANIFEST},
        {"mediaType": 5},
    ],
)
def test_what_ko_could_not_read_or_is_marked_as_ours_is_not_kos(change: dict[str, Any]) -> None:
    ((diff_id, value),) = ko_entry(3).items()
    assert maps.foreign_layer(diff_id, {**value, **change}) is None


def test_kos_descriptor_without_a_diff_id_is_not_kos() -> None:
    ((_, value),) = ko_entry(3).items()
    assert maps.foreign_layer("x", value) is None
    assert maps.foreign_layer(DIFF_ID, [value]) is None
    assert maps.foreign_layer(DIFF_ID, RECORD.to_json(HERE)) is None


@pytest.mark.parametrize(
    ("media_type", "stored"),
    [
        (media_types.DOCKER_LAYER_TAR, media_types.OCI_LAYER_TAR),
        (media_types.DOCKER_LAYER_GZIP, media_types.OCI_LAYER_GZIP),
        (media_types.DOCKER_LAYER_ZSTD, media_types.OCI_LAYER_ZSTD),
        (media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_GZIP),
    ],
)
def test_a_layer_is_stored_with_the_media_type_of_oci(media_type: str, stored: str) -> None:
    given = descriptor(
        media_type=media_type,
        platform=AMD64,
        urls=("https://example.com",),
        annotations=(("z", "1"), ("dev.ko-pants.format", "1"), ("a", "2")),
    )
    expected = descriptor(media_type=stored, annotations=(("a", "2"), ("z", "1")))
    normal = maps.normalise(CachedLayer(DIFF_ID, given, GZIP))
    assert normal == CachedLayer(DIFF_ID, expected, GZIP)


def test_what_is_no_layer_is_refused() -> None:
    for wrong in (
        CachedLayer("sha256:short", layer().descriptor, GZIP),
        CachedLayer(DIFF_ID, descriptor(digest="sha256:short"), GZIP),
    ):
        with pytest.raises(KoPantsError, match=r"expected sha256 digests, found .*short"):
            maps.normalise(wrong)
    for other in (descriptor(media_type=media_types.OCI_MANIFEST), descriptor(size=-1)):
        with pytest.raises(KoPantsError, match="expected the descriptor of a layer, found Desc"):
            maps.normalise(CachedLayer(DIFF_ID, other, GZIP))
    empty = CachedLayer(DIFF_ID, descriptor(size=0), GZIP)
    assert maps.normalise(empty) == empty


@pytest.mark.parametrize(
    ("compressor", "alike"),
    [
        (GZIP, [True, False, False]),
        (GZIP6, [True, False, False]),
        ("gzip-1", [True, False, False]),
        (ZSTD, [False, True, False]),
        ("none", [False, False, True]),
        ("stargz-1/estargz-1", [False, False, False]),
        ("", [False, False, False]),
    ],
)
def test_the_encoding_of_a_compressor(compressor: str, alike: list[bool]) -> None:
    layers = [
        CachedLayer(DIFF_ID, descriptor(media_type=media_type), "unknown")
        for media_type in (
            media_types.OCI_LAYER_GZIP,
            media_types.OCI_LAYER_ZSTD,
            media_types.OCI_LAYER_TAR,
        )
    ]
    assert [maps.same_encoding(layer, compressor) for layer in layers] == alike


@pytest.mark.parametrize(
    ("content", "parsed"),
    [
        (b'{"a": 1}', ({"a": 1}, True)),
        (b' \t\r\n{"a": 1} \t\r\n', ({"a": 1}, True)),
        (b'{"a": 1}\n}\n', ({"a": 1}, False)),
        (b'{"a": "\xff"}', ({"a": "\ufffd"}, True)),
        (b"[1]", (None, False)),
        (b"", (None, False)),
        (b"{", (None, False)),
        (b'{"a":' + b"[" * 100_000, (None, False)),
    ],
)
def test_the_first_json_object_of_a_file_counts(content: bytes, parsed: object) -> None:
    assert maps.parse_map(content) == parsed


def test_nothing_nested_breaks_the_readers() -> None:
    """What can just be parsed may be too deep for whatever looks at it afterwards."""
    for depth in [10, 300, *range(850, 1000, 6)]:
        deep = "[" * depth + "]" * depth
        for name in ("digest", "size", "annotations", "other", "platform", "urls"):
            content = json.dumps({DIFF_ID: {**ko_entry(0)[DIFF_ID], name: "DEEP"}})
            parsed, _ = maps.parse_map(content.replace('"DEEP"', deep).encode())
            for diff_id, value in (parsed or {}).items():
                maps.own_record(HERE, diff_id, value)
                maps.foreign_layer(diff_id, value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("mediaType", "size", "digest", "annotations", "urls", "dev.ko-pants.format"),
                    *("dev.ko-pants.keys", "dev.ko-pants.check", "dev.ko-pants.compressor"),
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_the_reader(value: Any) -> None:
    parsed, complete = maps.parse_map(json.dumps({DIFF_ID: value}).encode())
    assert parsed is not None
    assert complete
    assert maps.own_record("bin/x", DIFF_ID, parsed[DIFF_ID]) is None
    assert maps.foreign_layer(DIFF_ID, parsed[DIFF_ID]) is None


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    parsed, _ = maps.parse_map(content)
    assert parsed is None or isinstance(parsed, dict)


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4), st.binary())
def test_the_first_value_counts_whatever_follows(entries: dict[str, str], tail: bytes) -> None:
    content = maps.encode_map(entries)
    assert maps.parse_map(content) == (entries, True)
    parsed, complete = maps.parse_map(content + b"}" + tail)
    assert (parsed, complete) == (entries, False)
