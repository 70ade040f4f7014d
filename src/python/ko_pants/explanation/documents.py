"""A record as JSON: one document, and a list of files for each directory.

The lists are documents of their own, known by their digests, so that records of several images, and
of one image before and after an edit, share those of directories that did not change.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import Any, Callable, Iterable, Mapping, Sequence

from ko_pants.explanation.record import (
    FILE_KINDS,
    Deeds,
    ImageRecord,
    Input,
    PlatformResult,
    sorted_inputs,
)

#: Of the form of the documents.
VERSION = 1


class DamagedDocument(Exception):
    """It is no record; the message says why."""


def content_hash(content: bytes) -> str:
    """What a document is known by: its SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def _bytes(document: object) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode()


def encode_record(record: ImageRecord) -> tuple[bytes, dict[str, bytes]]:
    """The document of a record, and its lists of files by their hashes."""
    inputs = []
    files: dict[tuple[str, str, str, str], dict[str, dict[str, str]]] = {}
    for found in record.inputs:
        if found.kind not in FILE_KINDS:
            inputs.append([*found.key, found.value])
            continue
        directory, name = posixpath.split(found.name)
        if posixpath.join(directory, name) != found.name:
            inputs.append([*found.key, found.value])
            continue
        group = found.part, found.of, found.platform, found.kind
        files.setdefault(group, {}).setdefault(directory, {})[name] = found.value
    lists: dict[str, bytes] = {}
    groups = []
    for group, directories in files.items():
        hashes = {}
        for directory, entries in directories.items():
            content = _bytes(entries)
            hashes[directory] = content_hash(content)
            lists[hashes[directory]] = content
        groups.append([*group, hashes])
    document = {
        "version": VERSION,
        "address": record.address,
        "digest": record.digest,
        "time": record.time,
        "inputs": inputs,
        "files": groups,
        "results": [
            [result.platform, result.digest, result.executables, result.layers]
            for result in record.results
        ],
        "deeds": [record.deeds.compiles, record.deeds.layers, record.deeds.images],
    }
    return _bytes(document), lists


def lists_of(content: bytes) -> frozenset[str]:
    """The hashes of the lists that the document of a record names.

    :raises DamagedDocument: it is none.
    """
    groups = _document(content)["files"]
    return frozenset(
        text for group in _rows(groups, 5) for text in _strings(group[4].values(), None)
    )


def decode_record(content: bytes, read_list: Callable[[str], bytes]) -> ImageRecord:
    """The record of a document.

    :param read_list: the content of a list by its hash.
    :raises DamagedDocument: it is none; or what `read_list` raises.
    """
    document = _document(content)
    time = document.get("time")
    if not isinstance(time, int):
        raise DamagedDocument("it has no time")
    address, digest = _strings([document.get("address"), document.get("digest")], 2)
    inputs = [Input(*_strings(row, 6)) for row in _rows(document.get("inputs"), 6)]
    for row in _rows(document.get("files"), 5):
        part, of, platform, kind = _strings(row[:4], 4)
        for directory, hash_ in _pairs_of(row[4]):
            for name, value in _pairs_of(_json(read_list(hash_))):
                path = posixpath.join(directory, name)
                inputs.append(Input(part, of, platform, kind, path, value))
    results = []
    for row in _rows(document.get("results"), 4):
        platform, of_manifest = _strings(row[:2], 2)
        results.append(PlatformResult(platform, of_manifest, _pairs(row[2]), _pairs(row[3])))
    (deeds,) = _rows([document.get("deeds")], 3)
    compiles = []
    for row in _rows(deeds[0], 3):
        program, platform, source = _strings(row, 3)
        compiles.append((program, platform, source))
    return ImageRecord(
        address,
        sorted_inputs(inputs),
        digest,
        tuple(results),
        Deeds(tuple(compiles), _pairs(deeds[1]), _pairs(deeds[2])),
        time,
    )


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedDocument("it is no JSON") from None


def _document(content: bytes) -> Mapping[str, Any]:
    found = _json(content)
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise DamagedDocument("it is no record that this version can read")
    return found


def _rows(value: object, size: int) -> Sequence[Sequence[Any]]:
    """A list of lists with so many entries each."""
    if isinstance(value, list) and all(isinstance(r, list) and len(r) == size for r in value):
        return value
    raise DamagedDocument("it is no record")


def _strings(values: Iterable[object], size: int | None) -> list[str]:
    found = [value for value in values if isinstance(value, str)]
    if size is not None and len(found) != size:
        raise DamagedDocument("it is no record")
    return found


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    pairs = []
    for row in _rows(value, 2):
        one, two = _strings(row, 2)
        pairs.append((one, two))
    return tuple(pairs)


def _pairs_of(value: object) -> Iterable[tuple[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise DamagedDocument("it is no list of files")
    return value.items()
