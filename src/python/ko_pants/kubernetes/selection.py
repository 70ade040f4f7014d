"""The documents of a manifest, and the items of lists in it, that a label selector matches.

As `ko resolve -l` (`pkg/resolve/selector.go`): a document is a Kubernetes object, with `apiVersion`
and `kind`, or empty; of a `kind: List` the items are chosen. What is kept stays byte for byte.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Sequence, Tuple

import yaml

from ko_pants.errors import KoPantsError
from ko_pants.kubernetes.references import (
    LOADER,
    Document,
    ManifestText,
    NotYaml,
    Reference,
    error_text,
)
from ko_pants.kubernetes.selectors import Selector
from ko_pants.kubernetes.streams import separator

# Where a part of a text begins and ends.
_Part = Tuple[int, int]


def select_documents(manifest: ManifestText, selector: Selector, where: str) -> ManifestText:
    """The manifest with what the selector matches; without text where it matches nothing.

    References keep the line and column that they have in the file.

    :raises KoPantsError: a document is no Kubernetes object.
    """
    kept = _Kept(manifest)
    text = manifest.text
    if where.endswith(".json"):
        # PyYAML takes no tabs between tokens. In strings JSON has none.
        text = text.replace("\t", " ")
    nodes = yaml.compose_all(text, Loader=LOADER)  # type: ignore[no-untyped-call]
    try:
        for document, node in zip(manifest.documents, nodes):
            parts = _selected(manifest.text, document, node, selector, where)
            if parts:
                kept.add(parts)
    except yaml.YAMLError as e:
        # An alias to nothing; the events of the text are well-formed.
        raise NotYaml(error_text(e, where)) from None
    return kept.manifest()


class _Kept:
    """Collects parts of a manifest, and the references in them."""

    def __init__(self, manifest: ManifestText) -> None:
        self._text = manifest.text
        self._left = list(reversed(manifest.references))
        self._out: list[str] = []
        self._length = 0
        self._documents: list[Document] = []
        self._references: list[Reference] = []

    def add(self, parts: Sequence[_Part]) -> None:
        """Add one document, of the parts of the text that are left of it."""
        text = "".join(self._text[start:end] for start, end in parts)
        head = separator(self._out[-1], text) if self._out else ""
        self._out += [head, text]
        position = self._length + len(head)
        self._length = position + len(text)
        self._documents.append(Document(position, self._length))
        for start, end in parts:
            self._move_references(start, end, position - start)
            position += end - start

    def _move_references(self, start: int, end: int, by: int) -> None:
        while self._left and self._left[-1].start < end:
            found = self._left.pop()
            if found.start >= start:
                self._references.append(replace(found, start=found.start + by, end=found.end + by))

    def manifest(self) -> ManifestText:
        """What was added."""
        return ManifestText("".join(self._out), tuple(self._documents), tuple(self._references))


def _selected(
    text: str, document: Document, node: Any, selector: Selector, where: str
) -> Sequence[_Part]:
    """What is left of a document; nothing if it is not selected."""
    whole = ((document.start, document.end),)
    kind = _kind(node, where)
    if kind is None:
        return ()
    if kind != "List":
        return whole if selector.matches(_labels(node)) else ()
    items = _value(node, "items")
    if not isinstance(items, yaml.SequenceNode):
        raise KoPantsError(
            f"{where}:{node.start_mark.line + 1}: a `kind: List` without a list `items`"
        )
    for item in items.value:
        _kind(item, where)
    dropped = [
        number for number, item in enumerate(items.value) if not selector.matches(_labels(item))
    ]
    if not dropped:
        return whole if items.value else ()
    if len(dropped) == len(items.value):
        return ()
    parts = _without_items(text, document, items, dropped)
    _check_aliases(text, parts, node, where)
    return parts


def _check_aliases(text: str, parts: Sequence[_Part], node: Any, where: str) -> None:
    left = "".join(text[start:end] for start, end in parts)
    try:
        for _ in yaml.compose_all(left, Loader=LOADER):  # type: ignore[no-untyped-call]
            pass
    except yaml.YAMLError:
        raise KoPantsError(
            f"{where}:{node.start_mark.line + 1}: an item of this list has an anchor that others "
            "use, and the label selector does not match it; expected one that it matches, or no "
            "alias between items"
        ) from None


def _without_items(
    text: str, document: Document, items: Any, dropped: list[int]
) -> tuple[_Part, ...]:
    """The document without some items of a sequence, block or flow."""
    starts = [_item_start(text, items, item) for item in items.value]
    ends = [*starts[1:], items.end_mark.index]
    if items.flow_style:
        ends[-1] = items.end_mark.index - 1
    out: list[_Part] = []
    position = document.start
    last_kept = max(set(range(len(starts))) - set(dropped))
    for number in dropped:
        start, end = starts[number], ends[number]
        if items.flow_style and number > last_kept:
            # The comma before it goes, too.
            start = max(position, items.value[number - 1].end_mark.index)
            end = items.value[number].end_mark.index
        out.append((position, start))
        position = max(position, end)
    out.append((position, document.end))
    return tuple(part for part in out if part[0] < part[1])


def _item_start(text: str, items: Any, item: Any) -> int:
    """Where an item begins: of a block sequence, the line of its dash."""
    start = int(item.start_mark.index)
    if items.flow_style:
        return start
    column = int(items.start_mark.column)
    dash = text.rfind("-", 0, start)
    # An empty item, or one behind an anchor: the dash is the one in the column of the sequence.
    while dash > 0 and _column(text, dash) != column:
        dash = text.rfind("-", 0, dash)
    return dash - column if _column(text, dash) == column else start


def _column(text: str, index: int) -> int:
    return index - max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) - 1


def _kind(node: Any, where: str) -> str | None:
    """The kind of an object; None for an empty document."""
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    kind = _value(node, "kind")
    if not _is_text(_value(node, "apiVersion")) or not _is_text(kind):
        raise KoPantsError(
            f"{where}:{node.start_mark.line + 1}: expected a Kubernetes object with `apiVersion` "
            "and `kind`, because a label selector is given"
        )
    return str(kind.value)


def _labels(node: Any) -> dict[str, str]:
    metadata = _value(node, "metadata")
    labels = _value(metadata, "labels")
    return {
        key.value: value.value
        for key, value in _pairs(labels)
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    }


def _value(node: Any, name: str) -> Any:
    for key, value in _pairs(node):
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return value
    return None


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    return iter(node.value if isinstance(node, yaml.MappingNode) else ())


def _is_text(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
