"""How often a cache was asked and what it knew. The counts of the last run are kept for a goal.

They are kept in `<root>/ko-pants/last-run.json`.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, fields

from ko_pants.kocache.map_files import read_map
from ko_pants.kocache.root import CacheRoot
from ko_pants.kocache.shared_files import write_atomically

_LAST_RUN = "last-run.json"


@dataclass(frozen=True)
class Counters:
    """What a cache was asked.

    :param hits: lookups that gave a layer.
    :param foreign: the hits among them with a layer of another producer.
    :param half_hits: misses for which the diffID was known.
    :param misses: lookups that gave no layer, half hits among them.
    :param records: layers recorded.
    """

    hits: int = 0
    foreign: int = 0
    half_hits: int = 0
    misses: int = 0
    records: int = 0


_NAMES = tuple(field.name for field in fields(Counters))


class RunCounters:
    """Counts what a cache is asked and saves the counts of each run. Threads may share it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._counts = dict.fromkeys(_NAMES, 0)
        self._saved = self._before_run = Counters()
        self._unsaved = False

    def add(self, **more: int) -> None:
        """Add to the counts with these names."""
        with self._mutex:
            for name, number in more.items():
                self._counts[name] += number
            self._unsaved = True

    @property
    def total(self) -> Counters:
        """Everything that was counted, in all runs."""
        with self._mutex:
            return Counters(**self._counts)

    def begin_run(self) -> None:
        """Let what was counted after the last `save()` be the beginning of a new run."""
        self._before_run = self._saved

    def save(self, root: CacheRoot) -> bool:
        """Write the counts of this run. Does nothing if nothing was counted after the last call.

        False, after one warning, if the cache cannot be written.
        """
        # Runs call this after each image, and most images ask nothing.
        if not self._unsaved:
            return True
        self._unsaved = False
        self._saved = total = self.total
        run = {name: getattr(total, name) - getattr(self._before_run, name) for name in _NAMES}
        try:
            root.make_state_directory()
            content = (json.dumps(run) + "\n").encode()
            write_atomically(root.state_file(_LAST_RUN), content, locked=False, durable=False)
        except OSError as error:
            root.problems.not_written(error)
            return False
        return True


def last_run(root: CacheRoot) -> Counters | None:
    """The counts that were saved last; None if there are none."""
    saved = read_map(root.state_file(_LAST_RUN), root.problems)
    if not all(type(saved.get(name)) is int for name in _NAMES):
        return None
    return Counters(**{name: saved[name] for name in _NAMES})
