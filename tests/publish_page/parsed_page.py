"""A page as a tree of elements, read strictly: what is opened is closed, in its order."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Dict, Iterator, List, Optional, Tuple, Union

VOID = {"br", "input", "link", "meta"}


@dataclass
class Element:
    """An element, its attributes, and what is in it: elements and texts."""

    tag: str
    attributes: Dict[str, str] = field(default_factory=dict)
    children: List[Union[Element, str]] = field(default_factory=list)

    def all(self, tag: str = "", class_: str = "") -> Iterator[Element]:
        """The elements in it with this tag and this class."""
        for child in self.children:
            if isinstance(child, Element):
                classes = child.attributes.get("class", "").split()
                if tag in ("", child.tag) and (not class_ or class_ in classes):
                    yield child
                yield from child.all(tag, class_)

    def one(self, tag: str = "", class_: str = "") -> Element:
        """The only one of these."""
        (found,) = self.all(tag, class_)
        return found

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(c if isinstance(c, str) else c.text for c in self.children)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(content: str) -> Element:
    """The tree of a page.

    :raises AssertionError: it is not well-formed.
    """
    parser = _Parser()
    parser.feed(content)
    parser.close()
    assert parser.open == [parser.root]
    return parser.root
