"""The report at the end of a run of `publish`: a line, a file with totals, a page of all images."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable, Iterable

from pants.engine.internals.session import RunId

from ko_pants.disk.replacement import replace_file
from ko_pants.errors import KoPantsError
from ko_pants.free_memory import give_back_memory
from ko_pants.process_log import SOURCES, Work, take_work
from ko_pants.products import BuiltImage
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.publication import Found, Published
from ko_pants.publishing.run_totals import FAILED, UP_TO_DATE, RunTotals, outcome_of, transfers_of
from ko_pants.registry.traffic import Traffic
from ko_pants.rules.record_keeping import (
    PendingRecord,
    PublishedImage,
    changes_of,
    keep_records,
)

if TYPE_CHECKING:
    from ko_pants.publishing.timeline import Timeline

_IN_MEMORY = SOURCES["memoized"]


@dataclass(frozen=True, eq=False)
class ReportedImage:
    """What the publish rule knows of an image at one destination.

    :param found: None if it is not pushed.
    """

    built: BuiltImage
    destination: Destination
    found: Found | None
    result: Callable[[], Published]


@dataclass(frozen=True)
class ReportFiles:
    """Where a run is reported, as the user spells it, relative to the build root.

    :param totals: `[ko].report`, and `page` is `[ko].page`; empty for nowhere.
    """

    totals: str = ""
    page: str = ""

    def __bool__(self) -> bool:
        return bool(self.totals or self.page)


NO_FILES = ReportFiles()


class RunReport:
    """Collects what a run does, and says it once. Thread-safe.

    Pants asks for the data of each image when the image is done; only these are in the report. What
    is in the data may be of an earlier run of the daemon, so the publish rule notes each image too.

    :param files: where the totals and the page are written.
    :param started: when the run began, in seconds since the epoch.
    :param timeline: of the run; None if there is no page.
    """

    def __init__(
        self,
        root: str,
        files: ReportFiles,
        run_id: RunId,
        started: float,
        traffic: Traffic,
        timeline: Timeline | None = None,
    ) -> None:
        self._timeline = timeline
        self._root = root
        self._files = files
        self._run_id = run_id
        self._started = started
        self._traffic = traffic
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, tuple[str, ...]], ReportedImage] = {}
        self._outcomes: dict[tuple[str, tuple[str, ...]], str] = {}
        self._records: dict[str, PendingRecord] = {}
        self._done = False

    def note(
        self,
        destination: Destination,
        built: BuiltImage,
        found: Found | None,
        result: Callable[[], Published],
    ) -> None:
        """Take up an image at a destination."""
        with self._lock:
            key = built.owner, destination.names
            self._noted[key] = ReportedImage(built, destination, found, result)

    def keep(self, record: PendingRecord) -> None:
        """Have it written at the end, if the image is published."""
        with self._lock:
            self._records[record.place.address] = record

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
        """Print the line, and write the files and the records of images, once.

        :raises KoPantsError: a file cannot be written.
        """
        with self._lock:
            if self._done:
                return
            self._done = True
        work = self._work()
        totals = self._totals(work)
        print(totals.sentence(), file=sys.stderr)
        # Afterwards this run is the last one.
        page = self._page(totals, work) if self._files.page else ""
        if self._records:
            keep_records(self._records, self._published(), work)
        outcomes = self._outcomes.values()
        give_back_memory(len(outcomes), changed=any(o != UP_TO_DATE for o in outcomes))
        failures = []
        if self._files.totals:
            content = json.dumps(totals.to_json(), indent=2) + "\n"
            failures += self._write("report", self._files.totals, content)
        if self._files.page:
            failures += self._write("page", self._files.page, page)
        if failures:
            raise KoPantsError("\n".join(failures))

    def _images(self) -> list[ReportedImage]:
        return [self._noted[key] for key in self._outcomes if key in self._noted]

    def _published(self) -> dict[str, list[PublishedImage]]:
        """What became of the images of which no destination failed, by address."""
        failed = {owner for (owner, _), outcome in self._outcomes.items() if outcome == FAILED}
        return {owner: images for owner, images in self._pushed().items() if owner not in failed}

    def _pushed(self) -> dict[str, list[PublishedImage]]:
        """What became of the images that have a destination, by address."""
        found: dict[str, list[PublishedImage]] = {}
        for key, outcome in self._outcomes.items():
            image = self._noted.get(key)
            if image is not None and image.found is not None:
                found.setdefault(key[0], []).append(
                    PublishedImage(image.built, image.found, image.result(), outcome)
                )
        return found

    def _work(self) -> Work:
        """What was done. What the run did nothing for was in memory."""
        work = take_work(self._started, lambda metadata: metadata.source(self._run_id).value)
        if not (work.compiles or work.layers or self._files):
            # A run that did nothing does not look at every layer to say so.
            return work
        built = {id(image.built): image.built for image in self._images()}.values()
        return replace(
            work,
            compiles={**dict.fromkeys(_executables(built), _IN_MEMORY), **work.compiles},
            layers={**dict.fromkeys(_layers(built), _IN_MEMORY), **work.layers},
        )

    def _totals(self, work: Work) -> RunTotals:
        return RunTotals(
            targets=len({owner for owner, _ in self._outcomes}),
            images=Counter(self._outcomes.values()),
            compiles=Counter(work.compiles.values()),
            layers=Counter(work.layers.values()),
            processes=work.processes,
            transfers=transfers_of(
                (image.found, image.result()) for image in self._images() if image.found is not None
            ),
            requests=self._traffic.requests,
            fetched_bytes=self._traffic.fetched_bytes,
            seconds=time.time() - self._started,
        )

    def _page(self, totals: RunTotals, work: Work) -> str:
        # Not imported where nobody wants a page.
        from ko_pants.page_of_run import page_of_run
        from ko_pants.publish_page.document import render

        images = [
            (self._noted[key], outcome)
            for key, outcome in self._outcomes.items()
            if key in self._noted
        ]
        name = os.path.basename(os.path.realpath(self._root))
        changes = changes_of(self._records, self._pushed(), work)
        return render(
            page_of_run(name, self._started, totals, images, work, changes, self._timeline)
        )

    def _write(self, option: str, path: str, content: str) -> list[str]:
        """Write a file; returns what went wrong."""
        try:
            replace_file(os.path.join(self._root, path), content.encode())
        except KoPantsError as e:
            return [f"option [ko].{option}: {e}. The images are published"]
        return []


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
