"""The report at the end of a run of `publish`: what was done for all images together."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Iterable

from pants.engine.internals.session import RunId

from ko_pants.disk.replacement import replace_file
from ko_pants.errors import KoPantsError
from ko_pants.process_log import SOURCES, take_work
from ko_pants.products import BuiltImage
from ko_pants.publishing.publication import Found, Published
from ko_pants.publishing.run_totals import RunTotals, outcome_of, transfers_of
from ko_pants.registry.traffic import Traffic

_IN_MEMORY = SOURCES["memoized"]


@dataclass(frozen=True, eq=False)
class _Image:
    """What the publish rule knows of an image at one destination."""

    built: BuiltImage
    found: Found | None
    result: Callable[[], Published]


class RunReport:
    """Collects what a run does, and says it once. Thread-safe.

    Pants asks for the data of each image when the image is done; only these are in the report. What
    is in the data may be of an earlier run of the daemon, so the publish rule notes each image too.

    :param option: where the JSON is written, relative to `root`; empty for nowhere.
    :param started: when the run began, in seconds since the epoch.
    """

    def __init__(
        self, root: str, option: str, run_id: RunId, started: float, traffic: Traffic
    ) -> None:
        self._path = os.path.join(root, option) if option else ""
        self._run_id = run_id
        self._started = started
        self._traffic = traffic
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, tuple[str, ...]], _Image] = {}
        self._outcomes: dict[tuple[str, tuple[str, ...]], str] = {}
        self._done = False

    def note(
        self,
        names: tuple[str, ...],
        built: BuiltImage,
        found: Found | None,
        result: Callable[[], Published],
    ) -> None:
        """Take up an image at the destination of these names."""
        with self._lock:
            self._noted[built.owner, names] = _Image(built, found, result)

    def ended(
        self,
        owner: str,
        names: tuple[str, ...],
        *,
        began: bool = False,
        failed: bool = False,
        by_another: bool = False,
    ) -> None:
        """Nothing more is done for an image; what was not noted is not pushed.

        :param began: something was to be done.
        :param by_another: a target that names the image says so; what the image says itself counts.
        """
        with self._lock:
            key = owner, names
            if by_another and key in self._outcomes:
                return
            image = self._noted.get(key)
            found = image.found if image is not None else None
            self._outcomes[key] = outcome_of(found, began=began, failed=failed)

    def finish(self) -> None:
        """Print the line and write the file, once.

        :raises KoPantsError: the file cannot be written.
        """
        with self._lock:
            if self._done:
                return
            self._done = True
        totals = self._totals()
        print(totals.sentence(), file=sys.stderr)
        if self._path:
            self._write(totals)

    def _totals(self) -> RunTotals:
        work = take_work(self._started, lambda metadata: metadata.source(self._run_id).value)
        images = [self._noted[key] for key in self._outcomes if key in self._noted]
        compiles, layers = work.compiles, work.layers
        if compiles or layers or self._path:
            # A run that did nothing does not look at every layer to say so.
            built = {id(image.built): image.built for image in images}.values()
            compiles = {**dict.fromkeys(_executables(built), _IN_MEMORY), **compiles}
            layers = {**dict.fromkeys(_layers(built), _IN_MEMORY), **layers}
        return RunTotals(
            targets=len({owner for owner, _ in self._outcomes}),
            images=Counter(self._outcomes.values()),
            compiles=Counter(compiles.values()),
            layers=Counter(layers.values()),
            processes=work.processes,
            transfers=transfers_of(
                (image.found, image.result()) for image in images if image.found is not None
            ),
            requests=self._traffic.requests,
            fetched_bytes=self._traffic.fetched_bytes,
            seconds=time.time() - self._started,
        )

    def _write(self, totals: RunTotals) -> None:
        content = json.dumps(totals.to_json(), indent=2) + "\n"
        try:
            replace_file(self._path, content.encode())
        except KoPantsError as e:
            raise KoPantsError(f"option [ko].report: {e}. The images are published") from None


def _executables(images: Iterable[BuiltImage]) -> Iterable[str]:
    for image in images:
        for platform in image.platforms:
            for executable in platform.executables:
                if executable.compiled:
                    yield executable.file_digest


def _layers(images: Iterable[BuiltImage]) -> Iterable[str]:
    for image in images:
        for platform in image.platforms:
            for added in platform.layers:
                yield added.layer.diff_id
