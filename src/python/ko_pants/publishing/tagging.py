"""The last step of a publish: when every image of the run is there, the tags move.

Pants runs the process of each image when all images are built. The first process that asks moves
the tags of all images of the run; see `commit_gate` for how a process asks.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, AbstractSet, Callable, Iterable, Mapping, Protocol, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.layout import Layout
from ko_pants.publishing.announcing import Announcements
from ko_pants.publishing.checking import Memory, remember
from ko_pants.publishing.commit_gate import CommitGate
from ko_pants.publishing.publication import BlobOutcome, Published
from ko_pants.publishing.uploading import PendingUpload, Report, Uploads
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool

if TYPE_CHECKING:
    from ko_pants.publishing.artifact_stores import Entry
    from ko_pants.publishing.attachments import Attachment
    from ko_pants.publishing.signing import Signing

# How soon it is noticed that the user has interrupted the run, and how long moves of tags that have
# begun may take then.
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 1.0
# More images are not named in one line.
_MAX_NAMES = 3
# In the place of a failure: nobody knows if the tags have moved.
_NOT_YET = "not yet"
# How the failures of an interrupted run begin.
_INTERRUPTED = "interrupted: "


def move_tags(
    uploads: Uploads,
    pool: WorkerPool,
    memory: Memory,
    pending: Sequence[PendingUpload],
    report: Report,
    signing: Signing | None = None,
) -> tuple[str, ...]:
    """Wait for the uploads, have images signed, and let the tags name them; or tags first.

    No tag moves if an upload failed, or a signature that comes before the tags. Otherwise every
    image is tried.

    :returns: for each upload why its tags were not moved, or why it is not signed; empty if all is
        well.
    :raises InterruptedRunError: the user has interrupted the run, and no tag has moved.
    """
    try:
        uploads.wait(pending, report)
    except InterruptedRunError:
        raise
    except KoPantsError as e:
        return (f"not tagged: {e}",) * len(pending)
    if signing is not None and any(unsigned := signing.before_tags(pending, report)):
        return unsigned
    # A last look: whoever has interrupted the run meanwhile does not want its tags to move.
    report("")
    failures = _name_images(uploads, pool, memory, pending, report)
    if signing is not None:
        tagged = [position for position, failure in enumerate(failures) if not failure]
        try:
            unsigned = signing.after_tags([pending[position] for position in tagged], report)
        except InterruptedRunError as e:
            unsigned = (f"tagged, but not signed: {e}",) * len(tagged)
        for position, failure in zip(tagged, unsigned):
            failures[position] = failure or _list_signatures(pending[position])
    for upload, failure in zip(pending, failures):
        if not failure:
            _begin_to_confirm(pool, upload)
    return tuple(failures)


def confirmed(upload: PendingUpload, report: Report = lambda line: None) -> str:
    """Wait until the lists of the artifacts of a tagged image are certain.

    `move_tags` begins with it. Each image waits for itself, so that only the last ones really wait.

    :returns: why they are not; empty if all is well.
    """
    if upload.confirming is None:
        return ""
    try:
        while not upload.confirming.wait(_LOOK_SECONDS):
            report("")
    except KoPantsError as e:
        return f"tagged, but {e}. Run again with `--ko-verify-artifacts`"
    return ""


def _begin_to_confirm(pool: WorkerPool, upload: PendingUpload) -> None:
    for attached in (upload.attaching, upload.signatures):
        if attached is not None and not attached.is_confirmed:
            upload.confirming = upload.confirming or pool.group()
            pool.submit(attached.confirm, upload.confirming)


def _name_images(
    uploads: Uploads,
    pool: WorkerPool,
    memory: Memory,
    pending: Sequence[PendingUpload],
    report: Report,
) -> list[str]:
    """Let the tags name images that are all there; returns for each why they do not, or nothing."""
    lock = threading.Lock()
    failures = [_NOT_YET] * len(pending)
    asked: set[int] = set()
    # Layout -> position in `pending` -> what its index has to take up.
    by_layout: dict[str, dict[int, dict[str, Descriptor]]] = {}

    def move(position: int) -> None:
        upload = pending[position]
        publication, tags = upload.publication, upload.found.stale_tags
        named: dict[str, Descriptor] = {}
        begin = time.time()
        try:
            if tags:
                if not publication.destination.layout:
                    asked.add(position)
                named = publication.store.put_tags(
                    tags, publication.image, lambda missing: uploads.repair(upload, missing)
                )
        except KoPantsError as e:
            failures[position] = str(e) + _current_tags(upload)
            return
        if named or _entries(upload):
            with lock:
                by_layout.setdefault(publication.store.place, {})[position] = named
        else:
            failures[position] = ""
            remember(memory, publication)
            _note_tags(uploads, upload, begin)

    group = pool.group()
    for position in range(len(pending)):
        pool.submit(lambda p=position: move(p), group)  # type: ignore[misc]
    if not _all_ended(group, pool, report):
        said = _say_what_was_interrupted(failures, pending, asked)
        # From now on no tag moves behind the user's back.
        uploads.interrupt()
        return said
    for path, images in by_layout.items():
        entries = [entry for position in images for entry in _entries(pending[position])]
        begin = time.time()
        failure = _name_in_layout(path, images.values(), entries)
        for position in images:
            failures[position] = failure
            if not failure:
                remember(memory, pending[position].publication)
                _note_tags(uploads, pending[position], begin)
    return failures


def _note_tags(uploads: Uploads, upload: PendingUpload, begin: float) -> None:
    if uploads.timeline is not None and upload.found.stale_tags:
        uploads.timeline.tags_moved(upload.publication, begin)


def _all_ended(group: TaskGroup, pool: WorkerPool, report: Report) -> bool:
    """Wait for the moves of tags; False if the user does not. Then none begins any more."""
    try:
        while not group.wait(_LOOK_SECONDS):
            report("")
    except InterruptedRunError:
        pool.close()
        # Those that have begun may end.
        with contextlib.suppress(InterruptedError):
            group.wait(_PATIENCE_SECONDS)
        return False
    return True


def _say_what_was_interrupted(
    failures: Sequence[str], pending: Sequence[PendingUpload], asked: AbstractSet[int]
) -> list[str]:
    """What to say of each image; nothing of those whose tags have moved.

    :param asked: those whose destination was told to move tags.
    """
    moved = sum(not failure for failure in failures)
    unknown = [
        upload.publication.target
        for position, (upload, failure) in enumerate(zip(pending, failures))
        if failure == _NOT_YET and position in asked
    ]
    parts = [f"{_INTERRUPTED}the tags of {moved} of {len(failures)} images have moved"]
    if unknown:
        names = ", ".join(unknown[:_MAX_NAMES])
        more = len(unknown) - _MAX_NAMES
        parts.append(
            f"those of {names}{f' and {more} more' if more > 0 else ''} were on their way, and no "
            "answer has come"
        )
    parts.append("all images are there, and the next run moves the tags that have not moved")
    text = "; ".join(parts)
    return [text if failure == _NOT_YET else failure for failure in failures]


def _entries(upload: PendingUpload) -> tuple[Entry, ...]:
    """What the index of a layout has to take up for the artifacts of an image."""
    attached = (upload.attaching, upload.signatures)
    return tuple(entry for each in attached if each is not None for entry in each.entries)


def _list_signatures(upload: PendingUpload) -> str:
    """Have the index of a layout take up signatures that came after the tags."""
    if upload.signatures is None or not upload.signatures.entries:
        return ""
    return _name_in_layout(upload.publication.store.place, (), upload.signatures.entries)


def _current_tags(upload: PendingUpload) -> str:
    """What a failure says of the tags that named the image already; nothing if none did."""
    tags = upload.publication.destination.tags
    current = [tag for tag in tags if tag not in upload.found.stale_tags]
    return f". Up to date: {', '.join(current)}" if current else ""


def _name_in_layout(
    path: str, named: Iterable[Mapping[str, Descriptor]], artifacts: Sequence[Entry]
) -> str:
    """Write the index of a layout once; returns what went wrong, or nothing."""
    try:
        references = {name: found[name] for found in named for name in found}
        Layout(path).update(references, artifacts)
    except KoPantsError as e:
        return str(e)
    return ""


class MoveTags(Protocol):
    """Moves the tags of some images at once; see `move_tags` for what it returns."""

    def __call__(self, pending: Sequence[PendingUpload], report: Report) -> Sequence[str]:
        """Wait for the uploads, then move the tags."""


@dataclass(frozen=True)
class _Follower:
    """Something that is done when the tags of some images have moved.

    :param images: their numbers.
    """

    images: tuple[int, ...]
    action: Callable[[], None]


class TagMoves:
    """The images of one run whose tags are to move, each with a process that waits for that.

    :param move: is called by the first process that asks, with all images that have entered.
    """

    def __init__(self, move: MoveTags) -> None:
        self._move = move
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._entered: dict[int, PendingUpload] = {}
        self._followers: dict[int, _Follower] = {}
        self._results: dict[int, Published] = {}
        self._gate: CommitGate | None = None
        self._interruption_is_said = False
        self.announcements = Announcements()

    def enter(self, upload: PendingUpload) -> tuple[tuple[str, ...], Callable[[], Published], int]:
        """Add an image.

        :returns: the argv of the process that waits until the tags of the image have moved, a
            function for what has become of it, and its number.
        """
        with self._lock:
            number = next(self._numbers)
            self._entered[number] = upload
            return self._process(number), lambda: self._result(number), number

    def follow(self, images: Iterable[int], action: Callable[[], None]) -> tuple[str, ...]:
        """Add something that is done when the tags of images have moved.

        :param images: numbers that `enter` gave. Their own processes need not run.
        :param action: it may raise a KoPantsError.
        :returns: the argv of the process that waits for it.
        """
        with self._lock:
            number = next(self._numbers)
            self._followers[number] = _Follower(tuple(images), action)
            return self._process(number)

    def move(self, images: Iterable[int], report: Report) -> None:
        """Move the tags of images now, without a process.

        :raises KoPantsError: those of one or more could not be moved.
        """
        failures = [failure for failure in (self._moved(n, report) for n in images) if failure]
        if failures:
            raise KoPantsError("\n".join(failures))

    def close(self) -> None:
        """End the gate; a process that still waits fails."""
        if self._gate is not None:
            self._gate.close()

    def _process(self, number: int) -> tuple[str, ...]:
        if self._gate is None:
            self._gate = CommitGate(self._commit)
        return self._gate.enter(number)

    def _result(self, number: int) -> Published:
        return self._results.get(number) or _published(self._entered[number], "")

    def _commit(self, number: int, report: Report) -> str | None:
        """Do what the process with this number waits for."""
        follower = self._followers.get(number)
        if follower is None:
            failure = self._moved(number, report)
            self._say_interruption(number)
            if not failure:
                self._speak(number, report)
            return _beside_the_line(failure) if failure else None
        try:
            self.move(follower.images, report)
            follower.action()
        except KoPantsError as e:
            return str(e)
        return None

    def _say_interruption(self, number: int) -> None:
        """Have the process of an image say that the run was interrupted, if nobody has.

        Pants starts no other process then, though the tags of just this image may have moved. It
        writes no lines of images either.
        """
        failures = (result.failure for result in self._results.values())
        interruption = next((f for f in failures if f.startswith(_INTERRUPTED)), "")
        if interruption and self._gate is not None and not self._interruption_is_said:
            self._interruption_is_said = True
            self._gate.tell(number, interruption)

    def _speak(self, number: int, report: Report) -> None:
        """Let the process of an image speak for all images of which the same is to be said."""
        others = [
            other
            for other in self.announcements.others(number)
            # That of an image that came a second time is asked for by its own process.
            if other in self._results and not self._moved(other, report)
        ]
        self.announcements.speak(number, others)
        if self._gate is not None:
            self._gate.leave(others)

    def _moved(self, number: int, report: Report) -> str:
        """Move the tags of the image `number`, and with them those of all other images.

        If a file changes in the middle of a run, the engine asks for an image again. Then two
        images have the same names, and only the one whose process asks is tagged.

        :returns: why they could not be moved, or what is wrong all the same; empty if all is well.
        """
        if number not in self._results:
            names = Counter(u.publication.destination.names for u in self._entered.values())
            batch = [
                n
                for n, upload in self._entered.items()
                if n == number
                or (n not in self._results and names[upload.publication.destination.names] == 1)
            ]
            failures = self._move([self._entered[n] for n in batch], report)
            for n, failure in zip(batch, failures):
                self._results[n] = _published(self._entered[n], failure)
        result = self._results[number]
        if not result.failure:
            failure = confirmed(self._entered[number], report)
            # The requests of the confirmation count too.
            self._results[number] = result = _published(self._entered[number], failure)
        return result.failure


def _beside_the_line(failure: str) -> str:
    """What the process of an image says of a failure: what the line of the image leaves out.

    That line ends with the first line of the failure (`goals.publish_output.Description`).
    """
    return "\n".join(failure.splitlines()[1:])


def _published(upload: PendingUpload, failure: str) -> Published:
    artifacts: dict[Attachment, BlobOutcome] = {}
    for attached in (upload.attaching, upload.signatures):
        if attached is not None:
            artifacts.update(attached.done())
    return Published(dict(upload.outcomes), upload.publication.store.requests, failure, artifacts)
