"""Files of manifests as one stream of YAML documents.

Sources: the YAML 1.2 specification, chapter 9 (documents and streams); ko 0.19.1, `ko resolve`,
which writes such a stream. Text outside of references stays byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from ko_pants.kubernetes.references import (
    Document,
    ManifestText,
    NotYaml,
    decode,
    read_manifest,
    replace_references,
)

_BLANK_LINES = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\r))*")
_MARKER = re.compile(r"---(?:\s|\Z)")
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_END_OF_DOCUMENT = re.compile(r"(?:\A|[\r\n])\.\.\.\s*\Z")


@dataclass(frozen=True)
class ManifestFile:
    """One file, read.

    :param path: relative to the repo's root, for messages.
    :param mark: the byte order mark of the file, or nothing.
    :param is_template: it has `{{ }}` and is no YAML, so nothing in it is replaced.
    """

    path: str
    mark: str
    manifest: ManifestText
    is_template: bool = False


def read_file(path: str, content: bytes) -> ManifestFile:
    """Find documents and references of a file.

    :raises NotYaml: it is neither UTF-8 nor YAML (JSON for `.json`), and no template either. File,
        line and column are named.
    :raises MalformedReference: a reference has blanks in it.
    """
    text, mark = decode(content, path)
    try:
        return ManifestFile(path, mark, read_manifest(text, path))
    except NotYaml:
        if not _TEMPLATE.search(text):
            raise
        return ManifestFile(
            path, mark, ManifestText(text, (Document(0, len(text)),), ()), is_template=True
        )


def separator(before: str, text: str) -> str:
    """What has to stand between the text of some documents and that of the next ones."""
    if not before:
        return ""
    newline = "\r\n" if before.endswith("\r\n") else "\n"
    out = "" if before.endswith(("\n", "\r")) else newline
    start = _BLANK_LINES.match(text)
    position = start.end() if start else 0
    if text.startswith("%", position):
        return out if _END_OF_DOCUMENT.search(before[-1000:]) else f"{out}...{newline}"
    return out if _MARKER.match(text, position) else f"{out}---{newline}"


def resolved_stream(files: Sequence[ManifestFile], images: Mapping[str, str]) -> str:
    """The documents of all files, in their order, with their references replaced.

    A file without documents adds nothing.

    :param images: reference in the files -> reference of an image.
    """
    with_documents = [file for file in files if file.manifest.documents]
    text = joined(replace_references(file.manifest, images) for file in with_documents)
    return with_documents[0].mark + text if with_documents else ""


def joined(texts: Iterable[str]) -> str:
    """Texts with documents as one stream."""
    out: list[str] = []
    for text in texts:
        if text:
            out += [separator(out[-1], text), text] if out else [text]
    return "".join(out)
