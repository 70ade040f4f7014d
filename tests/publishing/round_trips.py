"""Round trips in a row, counted without a clock.

A test says which requests belong to each round trip. The registry holds each request until all
others of its trip have arrived. So nothing of a trip is answered before all of it was sent, and no
request can wait for the answer to another one of its trip: the number of trips is the length of the
longest chain of requests that wait for each other.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import Iterator, Mapping

from fault_registry import FaultRegistry, Seen

# Nobody waits so long, unless a request of a trip waits for another one of it.
_SECONDS = 60.0

# What is asked once for each registry, and not for an image.
_NOT_COUNTED = ("root",)


class _Trips:
    def __init__(self, trips: tuple[Mapping[str, int], ...]) -> None:
        self._trips = [Counter(trip) for trip in trips]
        self._changed = threading.Condition()
        self.ended = 0
        self.arrived: Counter[str] = Counter()
        self.wrong = ""

    def hold(self, seen: Seen) -> None:
        """Hold a request that has arrived."""
        if seen.endpoint in _NOT_COUNTED:
            return
        with self._changed:
            mine = self.ended
            self.arrived[seen.endpoint] += 1
            wanted = self._trips[mine] if mine < len(self._trips) else Counter()
            if self.arrived[seen.endpoint] > wanted[seen.endpoint]:
                self._fail(f"trip {mine + 1}: {seen.method} {seen.path} is one too many")
            elif self.arrived == wanted:
                self.ended += 1
                self.arrived = Counter()
                self._changed.notify_all()
            elif not self._changed.wait_for(lambda: self.ended > mine or self.wrong, _SECONDS):
                self._fail(f"trip {mine + 1}: only {dict(self.arrived)} of {dict(wanted)} came")

    def _fail(self, text: str) -> None:
        self.wrong = self.wrong or text
        self._changed.notify_all()


@contextlib.contextmanager
def round_trips(registry: FaultRegistry, *trips: Mapping[str, int]) -> Iterator[None]:
    """The requests that are made meanwhile take exactly these round trips.

    :param trips: for each the number of requests by endpoint; see `fault_registry.ENDPOINTS`.
    """
    expected = _Trips(trips)
    registry.on_request = expected.hold
    try:
        yield
    finally:
        registry.on_request = lambda seen: None
    assert not expected.wrong, expected.wrong
    assert expected.ended == len(trips), f"{len(trips) - expected.ended} trips were not needed"
