"""Questions that the disk answers, and their answers, which stay as long as the disk is the same.

Pants sees by itself when a file changes that it has read. But it stores each file that it reads,
which takes 0.17 ms of CPU for a small one. Whoever wants only the heads of thousands of files asks
here. Each run looks once whether something has changed (`look_again`): a `stat` for each file and
directory that has answered a question, some 3 microseconds.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Mapping, TypeVar

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.disk.disk import ABSENT, Disk, Entries, State
from ko_pants.errors import KoPantsError

A = TypeVar("A", covariant=True)


class Reader:
    """A disk that notes the state of all that a question looks at."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        #: By path, of directories and files. Each state is older than what was read.
        self.states: dict[str, State] = {}
        self._entries: dict[str, Entries] = {}

    def entries(self, directory: str) -> Entries:
        """What a directory holds; see `Disk.entries`."""
        found = self._entries.get(directory)
        if found is None:
            found, state = self.disk.entries_and_state(directory)
            self._entries[directory] = found
            self.states.setdefault(directory, None if found and state == ABSENT else state)
        return found

    def read(self, path: str) -> bytes:
        """The content of a file; see `Disk.read`."""
        self.states.setdefault(path, self.disk.state(path))
        return self.disk.read(path)


class Question(ABC, Generic[A]):
    """A question that files and directories of a repo answer. Subclasses are frozen dataclasses."""

    @abstractmethod
    def answer(self, reader: Reader) -> A:
        """Look for the answer. It depends on nothing that `reader` does not tell.

        :raises KoPantsError: there is something that cannot be read.
        """


@dataclass(frozen=True)
class _Answer:
    states: Mapping[str, State]
    value: Any


# An answer that is dropped would not be looked at in the next run. Then all are dropped, and that
# is noted as a change.
_MAX_ANSWERS = 200_000
_answers: BoundedMemory[tuple[str, Question[Any]], _Answer] = BoundedMemory(
    name="disk: answers",
    bound=_MAX_ANSWERS,
    holds="what files and directories say, with the state that they had; each run looks at their "
    "state again",
)
_change: BoundedMemory[str, str] = BoundedMemory(
    name="disk: last change of an answer",
    bound=16,
    holds="a random name of the last change of an answer, by the repo's root",
)


def ask(root: str, question: Question[A]) -> A:
    """The answer, as it is since the last `look_again`, or now if nobody has asked yet.

    Equal answers are one object from run to run.

    :param root: the repo's root.
    :raises KoPantsError: see `Question.answer`. This is not remembered.
    """
    known = _answers.get((root, question))
    if known is None:
        known = _look(Disk(root), question)
        _remember(root, question, known)
    value: A = known.value
    return value


def look_again(root: str) -> str:
    """Look whether answers have changed; a name that is another one after each change.

    :param root: the repo's root.
    """
    disk = Disk(root)
    now: dict[str, State] = {}
    for (place, question), known in _answers.items():
        if place == root and _is_stale(disk, known.states, now):
            _renew(disk, question, known)
    return last_change(root)


def last_change(root: str) -> str:
    """The name that `look_again` returned, or another one if an answer was dropped since.

    What follows from answers alone stays true as long as the name is the same.
    """
    return _change.get(root) or ""


def _is_stale(disk: Disk, states: Mapping[str, State], now: dict[str, State]) -> bool:
    """True if one of the states is no longer so. `now` is what is known of the states now."""
    for path, state in states.items():
        if state is None:
            return True
        if path not in now:
            now[path] = disk.state(path)
        if now[path] != state:
            return True
    return False


def _renew(disk: Disk, question: Question[Any], known: _Answer) -> None:
    try:
        new = _look(disk, question)
    except KoPantsError:
        # Whoever asks next gets the error.
        _answers.pop((disk.root, question))
        _note_change(disk.root)
        return
    if new.value == known.value:
        new = _Answer(new.states, known.value)
    else:
        _note_change(disk.root)
    _remember(disk.root, question, new)


def _look(disk: Disk, question: Question[Any]) -> _Answer:
    reader = Reader(disk)
    value = question.answer(reader)
    return _Answer(reader.states, value)


def _remember(root: str, question: Question[Any], answer: _Answer) -> None:
    if len(_answers) >= _MAX_ANSWERS:
        _answers.clear()
        _note_change(root)
    _answers.put((root, question), answer)


def _note_change(root: str) -> None:
    _change.put(root, os.urandom(16).hex())
