"""When blobs went to their destinations and tags moved. Made only if somebody wants to know."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import NamedTuple

from ko_pants.publishing.publication import Publication


class Step(NamedTuple):
    """Something that was done for an image; `begin` and `end` are in seconds since the epoch.

    :param digest: of the blob that was brought; empty if tags were moved.
    """

    digest: str
    begin: float
    end: float


class Timeline:
    """The steps of one run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[Publication, list[Step]] = defaultdict(list)

    def blob_came(self, publication: Publication, digest: str, begin: float) -> None:
        """A blob is at its destination now; it was begun with at `begin`."""
        self._add(publication, Step(digest, begin, time.time()))

    def tags_moved(self, publication: Publication, begin: float) -> None:
        """The tags name the image now."""
        self._add(publication, Step("", begin, time.time()))

    def of(self, publication: Publication) -> tuple[Step, ...]:
        """The steps of an image at its destination, in the order of their ends."""
        with self._lock:
            return tuple(self._steps.get(publication, ()))

    def _add(self, publication: Publication, step: Step) -> None:
        with self._lock:
            self._steps[publication].append(step)
