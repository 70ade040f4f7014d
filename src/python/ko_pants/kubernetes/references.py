"""References to images in YAML and JSON text, and their replacement in place.

A reference is a scalar that begins with `ko://` (an import path, as in ko) or `pants://` (an
address). It may be a value, a key or an item, at any depth, in any style. Everything else of the
text stays as it is, byte for byte: the places come from the marks of PyYAML, and the text is
spliced.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

import yaml

from ko_pants.errors import KoPantsError

KO_SCHEME = "ko://"
PANTS_SCHEME = "pants://"
SCHEMES = (KO_SCHEME, PANTS_SCHEME)

#: libyaml, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")
_BLOCK_STYLES = ("|", ">")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True)
class Reference:
    """A scalar that names an image.

    :param value: without blanks around it.
    :param start: where the scalar begins in the text, in characters, quotes included.
    :param end: where it ends.
    :param style: as YAML has it: empty for plain, else `'`, `"`, `|` or `>`.
    :param line: from 1.
    :param column: from 1.
    """

    value: str
    start: int
    end: int
    style: str
    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """One document of a stream, from its directives or `---` to the next one."""

    start: int
    end: int


@dataclass(frozen=True)
class ManifestText:
    """The text of a file, with what was found in it.

    :param text: without a byte order mark.
    """

    text: str
    documents: tuple[Document, ...]
    references: tuple[Reference, ...]


class NotYaml(KoPantsError):
    """The text is no YAML; the message says where."""


class MalformedReference(KoPantsError):
    """A reference that can name nothing; the message says where."""


def decode(content: bytes, where: str) -> tuple[str, str]:
    """The text of a file, and the byte order mark in front of it.

    :raises NotYaml: it is not UTF-8.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise NotYaml(
            f"{where}:{line}: expected UTF-8, found the byte 0x{content[e.start]:02x}"
        ) from None
    return (text[1:], text[0]) if text.startswith("\ufeff") else (text, "")


def read_manifest(text: str, where: str) -> ManifestText:
    """Find documents and references.

    :param where: the path, for messages. One that ends in `.json` is read as JSON.
    :raises NotYaml: the text is not well-formed; file, line and column are named.
    :raises MalformedReference: a reference has blanks in it.
    """
    if where.endswith(".json"):
        return _read_json(text, where)
    starts: list[int] = []
    references: list[Reference] = []
    with_properties = False
    try:
        for event in yaml.parse(text, Loader=LOADER):  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.ScalarEvent):
                if event.value.lstrip()[:8].startswith(SCHEMES) and event.tag in _STRING_TAGS:
                    start = event.start_mark.index
                    with_properties |= text[start : start + 1] in ("&", "!")
                    references.append(_reference(event))
            elif isinstance(event, yaml.DocumentStartEvent):
                starts.append(event.start_mark.index)
    except yaml.YAMLError as e:
        raise NotYaml(error_text(e, where)) from None
    if with_properties:
        references = _without_properties(text, references)
    _refuse_blanks(references, where)
    ends = [*starts[1:], len(text)]
    if starts:
        # What stands before the first document goes with it.
        starts[0] = 0
    return ManifestText(text, tuple(map(Document, starts, ends)), tuple(references))


def replace_references(manifest: ManifestText, images: Mapping[str, str]) -> str:
    """The text with each reference replaced by `images[reference.value]`, in its style."""
    parts = []
    position = 0
    for reference in manifest.references:
        parts.append(manifest.text[position : reference.start])
        old = manifest.text[reference.start : reference.end]
        parts.append(_spelled(images[reference.value], reference.style, old))
        position = reference.end
    parts.append(manifest.text[position:])
    return "".join(parts)


def _spelled(value: str, style: str, old: str) -> str:
    if style not in _BLOCK_STYLES:
        return f"{style}{value}{style}"
    # A block ends with the line break after its last line, and with empty lines. Its value becomes
    # one line, and has no break at its end: that is what ko makes of it.
    body = old.rstrip("\r\n")
    end_of_line = re.search(r"\r\n|\n|\r", old)
    rest = old[len(body) :] or (end_of_line.group() if end_of_line else "")
    return f'"{value}"{rest}'


def _reference(event: Any) -> Reference:
    mark = event.start_mark
    return Reference(
        event.value.strip(),
        mark.index,
        event.end_mark.index,
        event.style or "",
        mark.line + 1,
        mark.column + 1,
    )


def _without_properties(text: str, references: Sequence[Reference]) -> list[Reference]:
    """The references, beginning at their scalars instead of at a tag or an anchor before these."""
    by_end = {reference.end: reference for reference in references}
    out = []
    for token in yaml.scan(text, Loader=LOADER):  # type: ignore[no-untyped-call]
        if isinstance(token, yaml.ScalarToken) and token.end_mark.index in by_end:
            out.append(_reference(token))
    return out


def _refuse_blanks(references: Sequence[Reference], where: str) -> None:
    for reference in references:
        if re.search(r"\s", reference.value):
            raise MalformedReference(
                f"{where}:{reference.line}:{reference.column}: {reference.value!r} is no "
                "reference to an image; expected `ko://` and an import path, or `pants://` and an "
                "address, without blanks"
            )


def error_text(error: yaml.YAMLError, where: str) -> str:
    """What is wrong with YAML: file, line, column, problem."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    context = getattr(error, "context", None)
    return f"{where}{place}: {problem}{f' {context}' if context else ''}"


def _read_json(text: str, where: str) -> ManifestText:
    try:
        if text.strip():
            json.loads(text)
    except ValueError as e:
        if isinstance(e, json.JSONDecodeError):
            raise NotYaml(f"{where}:{e.lineno}:{e.colno}: {e.msg}") from None
        raise
    references = list(_json_references(text))
    _refuse_blanks(references, where)
    documents = (Document(0, len(text)),) if text.strip() else ()
    return ManifestText(text, documents, tuple(references))


def _json_references(text: str) -> Iterator[Reference]:
    for match in _JSON_STRING.finditer(text):
        value = json.loads(match.group(), strict=False).strip()
        if value.startswith(SCHEMES):
            start = match.start()
            line = text.count("\n", 0, start) + 1
            column = start - text.rfind("\n", 0, start)
            yield Reference(value, start, match.end(), '"', line, column)
