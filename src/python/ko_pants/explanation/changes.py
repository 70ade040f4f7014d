"""The changes between two records of an image, and what each of them caused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from ko_pants.explanation.consequences import Compile, Consequences, compiles_for
from ko_pants.explanation.record import (
    ALL_FLAGS,
    FILES,
    FLAG,
    KINDS,
    MODULE,
    PLATFORM,
    PROGRAM,
    SOURCE_FILE,
    TO_FILES,
    TO_PROGRAM,
    ImageRecord,
    Input,
    is_hidden,
)

#: The kind of the one change where there is nothing to compare with.
FIRST_PUBLISH = "first publish"
#: The kind of the one change where the image is another, and all that is recorded is the same.
UNKNOWN = "unknown"
#: What stands for a value that may be secret.
NOT_SHOWN = "(not shown)"

# The kinds that stand for everything that belongs to them, and the part that this has.
_WHOLES = {PLATFORM: "", PROGRAM: TO_PROGRAM, FILES: TO_FILES}
_MODULE_FILES = ("go.mod", "go.sum")

# An input that differs, and its values before and now; None where it was not there.
_Difference = Tuple[Input, Optional[str], Optional[str]]


@dataclass(frozen=True)
class Change:
    """One input that is another, and what that caused.

    :param kind: one of `record.KINDS`, or else `FIRST_PUBLISH` or `UNKNOWN`.
    :param name: a path of the repository, a flag, a variable, a field, the path of a module.
    :param before: a short text or a digest; None if the input is new. A value that may be secret
        is `NOT_SHOWN`.
    :param after: likewise; None if the input is gone.
    :param caused: such as `compile for linux/amd64 ran`, `the executable is the same`.
    """

    kind: str
    name: str
    before: str | None
    after: str | None
    caused: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """As in the documented contract of `ko-explain`."""
        return {
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "caused": list(self.caused),
        }


def changes_between(before: ImageRecord | None, now: ImageRecord) -> tuple[Change, ...]:
    """What is another in `now`. Empty if both were made from the same.

    :param before: None if there is nothing to compare with: the answer is one `FIRST_PUBLISH`.
    :param now: a record of a publish, or one that was not built (no `results`): then `caused` says
        what would be done.
    """
    say = Consequences(before, now)
    if before is None:
        return (Change(FIRST_PUBLISH, now.address, None, now.digest or None, say.first_time()),)
    caused_by: dict[tuple[str, str, str | None, str | None], list[Input]] = {}
    for entry, was, is_now in _differences(before, now):
        what = entry.kind, entry.name, _shown(was), _shown(is_now)
        caused_by.setdefault(what, []).append(entry)
    found = [
        Change(*what, say.of(entries, is_gone=what[3] is None))
        for what, entries in caused_by.items()
    ]
    if not found and before.digest and now.digest and before.digest != now.digest:
        caused = ("the image is another, and no recorded input is",)
        return (Change(UNKNOWN, now.address, before.digest, now.digest, caused),)
    return tuple(sorted(found, key=lambda c: (KINDS.index(c.kind), c.name, c.before or "")))


def compiles_between(before: ImageRecord | None, now: ImageRecord) -> tuple[Compile, ...]:
    """The compiles that the changes ask for. A cache may have the result of one."""
    if before is None:
        wanted = [entry for entry in now.inputs if entry.kind == PROGRAM]
    else:
        wanted = [entry for entry, _, _ in _differences(before, now)]
    return compiles_for(wanted, now)


def counts_of(record: ImageRecord) -> dict[str, int]:
    """Kind -> number of inputs, in the order of `KINDS`: what is compared."""
    names = {(found.kind, found.name) for found in record.inputs if found.name != ALL_FLAGS}
    counts = {kind: sum(1 for k, _ in names if k == kind) for kind in KINDS}
    return {kind: count for kind, count in counts.items() if count}


def _differences(before: ImageRecord, now: ImageRecord) -> list[_Difference]:
    """The inputs that differ, without those that another one explains.

    What belongs to a platform, a program or a layer of files that is new or gone is explained by
    that one; go.mod and go.sum are by the modules in them, and the order of flags by a flag.
    """
    old = {found.key: found for found in before.inputs}
    new = {found.key: found for found in now.inputs}
    differing: list[_Difference] = []
    for key in sorted({*old, *new}):
        was, is_now = old.get(key), new.get(key)
        entry = is_now or was
        if entry is not None and was != is_now:
            differing.append((entry, _value(was), _value(is_now)))
    whole = {
        (_WHOLES[entry.kind], entry.name)
        for entry, before_value, value in differing
        if entry.kind in _WHOLES and (before_value is None or value is None)
    }
    finer = {
        (entry.of, entry.platform, entry.kind)
        for entry, _, _ in differing
        if entry.kind == MODULE or (entry.kind == FLAG and entry.name != ALL_FLAGS)
    }
    return [d for d in differing if not _is_explained(d[0], whole, finer)]


def _is_explained(
    entry: Input, whole: set[tuple[str, str]], finer: set[tuple[str, str, str]]
) -> bool:
    """True if another difference says it.

    :param whole: part and name of what is new or gone.
    :param finer: program, platform and kind of modules and flags that differ.
    """
    if entry.kind in _WHOLES:
        return False
    if ("", entry.platform) in whole or (entry.part, entry.of) in whole:
        return True
    if entry.name == ALL_FLAGS:
        return (entry.of, entry.platform, FLAG) in finer
    is_module_file = entry.kind == SOURCE_FILE and entry.name.endswith(_MODULE_FILES)
    return is_module_file and (entry.of, entry.platform, MODULE) in finer


def _value(found: Input | None) -> str | None:
    return None if found is None else found.value


def _shown(value: str | None) -> str | None:
    return NOT_SHOWN if value is not None and is_hidden(value) else value
