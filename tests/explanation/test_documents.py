"""Records as JSON."""

from __future__ import annotations

import json

import pytest
from explanation.records import RECORD, digest, records, source, with_inputs
from hypothesis import given

from ko_pants.explanation.documents import (
    DamagedDocument,
    content_hash,
    decode_record,
    encode_record,
    lists_of,
)
from ko_pants.explanation.record import ImageRecord


@given(records())
def test_any_record_comes_back(record: ImageRecord) -> None:
    document, lists = encode_record(record)

    assert decode_record(document, lists.__getitem__) == record
    assert lists_of(document) == set(lists)
    assert all(content_hash(content) == hash_ for hash_, content in lists.items())
    assert encode_record(record) == (document, lists)


def test_directories_that_do_not_change_are_shared() -> None:
    before = with_inputs(RECORD, *(source(f"lib{n}/lib.go", "1") for n in range(20)))
    after = with_inputs(before, source("lib7/lib.go", "2"))

    _, old = encode_record(before)
    _, new = encode_record(after)

    assert len(set(new) - set(old)) == 1
    # Equal directories are one list, wherever they are.
    assert len(old) < 10


def test_no_secret_is_in_a_document() -> None:
    document, _ = encode_record(RECORD)

    assert b"hidden:0123456789abcdef" in document
    assert digest("1").encode() not in document


@pytest.mark.parametrize(
    "edit",
    [
        {"version": 2},
        {"address": None},
        {"time": "now"},
        {"inputs": [["a"]]},
        {"inputs": [["a", "b", "c", "d", "e", 1]]},
        {"files": {}},
        {"files": [["a", "b", "c", "d", []]]},
        {"files": [["a", "b", "c", "d", {"x": 1}]]},
        {"results": [["a", "b", [["x"]], []]]},
        {"deeds": []},
        {"deeds": [[["a"]], [], []]},
    ],
)
def test_what_is_no_record_is_damaged(edit: dict[str, object]) -> None:
    document, lists = encode_record(RECORD)

    with pytest.raises(DamagedDocument, match=r"^it (is|has) no "):
        decode_record(json.dumps({**json.loads(document), **edit}).encode(), lists.__getitem__)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_other_content_is_damaged(content: bytes) -> None:
    with pytest.raises(DamagedDocument):
        decode_record(content, lambda _: b"")
    with pytest.raises(DamagedDocument):
        lists_of(content)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}'])
def test_a_list_that_is_damaged_damages_its_record(content: bytes) -> None:
    document, _ = encode_record(RECORD)

    with pytest.raises(DamagedDocument):
        decode_record(document, lambda _: content)
