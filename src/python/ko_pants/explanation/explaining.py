"""What `ko-explain` says of an image: in words and as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Iterable

from ko_pants.explanation.changes import (
    FIRST_PUBLISH,
    Change,
    changes_between,
    compiles_between,
    counts_of,
)
from ko_pants.explanation.record import ImageRecord
from ko_pants.explanation.store import History
from ko_pants.oci.descriptor import short_digest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLURALS = {"layer of files": "layers of files", "file of oci_files": "files of oci_files"}


@dataclass(frozen=True)
class Explanation:
    """What is known of one image.

    :param repositories: that it goes to; none if it is not pushed.
    :param history: its last publish, and the one before.
    :param now: what it would be made from.
    :param directory: of the records.
    """

    address: str
    repositories: tuple[str, ...]
    history: History
    now: ImageRecord
    directory: str

    @property
    def problem(self) -> str:
        """Why there is no last publish to compare with, and what to do; empty if there is one."""
        if self.history.last is not None:
            return ""
        if not self.repositories:
            return (
                "the image is not pushed (`skip_push`), and only a publish leaves a record: "
                "there is nothing to compare with"
            )
        return (
            f"no publish of {self.address} to {', '.join(self.repositories)} is recorded in "
            f"{self.directory}. The next `./pants publish {self.address}` leaves a record, also "
            "if there is nothing to push"
        )

    def to_json(self) -> dict[str, object]:
        """The documented contract of `--ko-explain-format=json`."""
        last, before = self.history.last, self.history.before
        compiles = compiles_between(last, self.now)
        return {
            "target": self.address,
            "repositories": list(self.repositories),
            "problem": self.problem,
            "last_publish": None
            if last is None
            else {
                "digest": last.digest,
                "time": _time(last.time),
                "platforms": list(last.platforms),
                "destinations": dict(last.deeds.images),
                "compared_with": None if before is None else before.digest,
                "changes": [c.to_json() for c in changes_between(before, last)],
                "compared": counts_of(last),
            },
            "now": {
                "changes": []
                if last is None
                else [c.to_json() for c in changes_between(last, self.now)],
                "compiles": [{"program": c.program, "platform": c.platform} for c in compiles],
                "compared": counts_of(self.now),
            },
        }

    def to_text(self) -> str:
        """The same in words, with digests cut short."""
        return "\n".join([self.address, *_indented([*self._last(), "", *self._now()])])

    def _last(self) -> list[str]:
        last, before = self.history.last, self.history.before
        if last is None:
            return [f"Last publish: {self.problem}."]
        head = f"Last publish, {_time(last.time)}: {_short(last.digest)}"
        where = ", ".join(f"{place} ({outcome})" for place, outcome in last.deeds.images)
        head += f" at {where}" if where else ""
        changes = changes_between(before, last)
        if before is None:
            return [f"{head}.", *_indented([*changes[0].caused])]
        return [f"{head}. Against the one before:", *_indented(_lines(changes, last))]

    def _now(self) -> list[str]:
        last = self.history.last
        compiles = compiles_between(last, self.now)
        lines = ["Now, against the last publish:"]
        if last is None:
            lines = ["Now:", "  there is nothing to compare with."]
        else:
            lines += _indented(_lines(changes_between(last, self.now), self.now))
        if not compiles:
            return [*lines, "A publish would compile nothing."]
        platforms: dict[str, list[str]] = {}
        for of in compiles:
            platforms.setdefault(of.program, []).append(of.platform)
        wanted = [f"{program} for {', '.join(of)}" for program, of in platforms.items()]
        return [*lines, f"A publish would compile {' and '.join(wanted)}."]


def _lines(changes: Iterable[Change], of: ImageRecord) -> list[str]:
    lines: list[str] = []
    for change in changes:
        lines.append(_sentence(change))
        lines += [f"  -> {text}" for text in change.caused]
    return lines or [_nothing(of)]


def _sentence(change: Change) -> str:
    if change.kind == FIRST_PUBLISH:
        return "first publish"
    what = f"{change.kind} {change.name}"
    if change.before is None:
        return f"{what}: new, {_short(change.after or '')}"
    if change.after is None:
        return f"{what}: gone, it was {_short(change.before)}"
    if change.before == change.after:
        return f"{what}: changed {change.before}"
    return f"{what}: {_short(change.before)}, now {_short(change.after)}"


def _nothing(of: ImageRecord) -> str:
    counts = counts_of(of)
    parts = [_counted(kind, count) for kind, count in counts.items()]
    return f"nothing changed. The same are: {', '.join(parts)}."


def _counted(kind: str, count: int) -> str:
    if count == 1:
        return f"1 {kind}"
    return f"{count} {_PLURALS.get(kind, f'{kind}s')}"


def _short(text: str) -> str:
    return _DIGEST.sub(lambda found: short_digest(found[0]), text) or "empty"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]
