"""What is another in an image since its last publish, and what that caused."""

from __future__ import annotations

from typing import Sequence

from ko_pants.explanation.changes import FIRST_PUBLISH, Change
from ko_pants.explanation.record import FILE_KINDS
from ko_pants.oci.descriptor import short_digest
from ko_pants.publish_page.markup import Markup, element, joined
from ko_pants.publish_page.measures import counted

# So many changes with the same consequences are shown at once; more are shown on demand.
_MAX_SHOWN = 12
_MAX_VALUE = 60


def changes_part(changes: Sequence[Change] | None) -> Markup:
    """The changes of one image, those with the same consequences together.

    :param changes: None if nobody knows: then nothing is said.
    """
    if changes is None:
        return Markup("")
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        groups.setdefault(change.caused, []).append(change)
    said = [_group(group, caused) for caused, group in groups.items()]
    return element(
        "div",
        element("h4", "What changed"),
        said or element("p", "Nothing that the image is made from has changed."),
        class_="changes",
    )


def changes_fact(changes: Sequence[Change] | None) -> str:
    """The same in a few words: `main.go`, `3 changes`; empty if there is nothing to say."""
    if not changes:
        return ""
    if changes[0].kind == FIRST_PUBLISH:
        return FIRST_PUBLISH
    return changes[0].name if len(changes) == 1 else counted(len(changes), "change")


def _group(changes: Sequence[Change], caused: Sequence[str]) -> Markup:
    shown = element("ul", [_change(change) for change in changes[:_MAX_SHOWN]])
    more = changes[_MAX_SHOWN:]
    hidden = element(
        "details",
        element("summary", f"and {counted(len(more), 'more change')}"),
        element("ul", [_change(change) for change in more]),
    )
    consequences = element("ul", [element("li", text) for text in caused], class_="caused")
    return joined(shown, hidden if more else "", consequences if caused else "")


def _change(change: Change) -> Markup:
    if change.kind == FIRST_PUBLISH:
        return element("li", "This is its first publish.")
    is_file = change.kind in FILE_KINDS
    kind = element("span", change.kind, class_="muted")
    return element("li", kind, " ", element("code", change.name), _values(change, is_file=is_file))


def _values(change: Change, *, is_file: bool) -> Markup:
    """What it was and what it is. The digests of a file say no more than that it is another."""
    if change.before is None:
        return joined(" is new", "" if is_file else joined(": ", _value(change.after)))
    if change.after is None:
        return joined(" is gone", "" if is_file else joined(", was ", _value(change.before)))
    if is_file:
        digests = f"{change.before} → {change.after}"
        return joined(" ", element("span", "has changed", title=digests))
    return joined(": ", _value(change.before), " → ", _value(change.after))


def _value(value: str | None) -> Markup:
    if not value:
        return Markup("empty")
    short = short_digest(value) if value.startswith("sha256:") else value[:_MAX_VALUE]
    if short == value:
        return element("code", value)
    return element("code", f"{short}…", title=value)
