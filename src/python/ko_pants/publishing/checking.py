"""The first step of a publish: what does the destination have of an image?

Images come one after the other, as they are built. Their questions are kept until `Checker.ask`
sends those of all images that have come, in a few rows of HEADs and side by side.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Mapping, Sequence

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import Descriptor
from ko_pants.publishing.publication import Found, Publication
from ko_pants.publishing.stores import RegistryStore
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool
from ko_pants.registry.client import RegistryClient

# So many images do not wait for more to come.
_ASK_FROM = 64

# The question for the image itself, under its digest; every other question is a tag.
_BY_DIGEST = ""


@dataclass(frozen=True)
class RepositoryMemory:
    """What a run saw in a repository at its end: the digest of an image, and tags that name it."""

    digest: str
    tags: frozenset[str]


#: Repository -> what was seen there last. It saves questions and decides nothing.
Memory = BoundedMemory[str, RepositoryMemory]


def remember(memory: Memory, publication: Publication) -> None:
    """Note that all tags of the publication name its image."""
    destination = publication.destination
    memory.put(
        destination.repository_name,
        RepositoryMemory(publication.image.descriptor.digest, frozenset(destination.tags)),
    )


class PendingCheck:
    """The questions of one publication, and the answers that have come."""

    def __init__(self, publication: Publication, tasks: TaskGroup) -> None:
        self.publication = publication
        self.tasks = tasks
        self.current_tags: frozenset[str] = frozenset()
        self.present = False
        self.missing: dict[str, Descriptor] = {}

    @property
    def done(self) -> bool:
        """True once `Checker.finish` need not wait."""
        return self.tasks.done

    def found(self) -> Found:
        """The answers, once all tasks have ended."""
        stale = tuple(
            tag for tag in self.publication.destination.tags if tag not in self.current_tags
        )
        # In the order of the image: the answers come in any order.
        missing = {
            digest: self.missing[digest]
            for digest in (self.publication.image.blobs() if self.missing else ())
            if digest in self.missing
        }
        return Found(self.publication, stale, self.present, missing)


class Checker:
    """Asks the destinations of one run. Thread-safe.

    :param memory: what earlier runs saw; what it says is present is asked for all the same.
    """

    def __init__(self, client: RegistryClient, pool: WorkerPool, memory: Memory) -> None:
        self._client = client
        self._pool = pool
        self._memory = memory
        self._lock = threading.Lock()
        self._unasked: list[PendingCheck] = []
        # Those that have been asked, until somebody sees that they are answered.
        self._asked: list[PendingCheck] = []

    def begin(self, publication: Publication) -> PendingCheck:
        """Note the questions of a publication; `ask` sends them with those of others."""
        check = PendingCheck(publication, self._pool.group())
        check.tasks.begin()
        with self._lock:
            self._unasked.append(check)
            enough = len(self._unasked) >= _ASK_FROM
        if enough:
            self.ask()
        else:
            self._pool.wake()
        return check

    def ask(self) -> None:
        """Send the questions of all checks that have begun."""
        with self._lock:
            unasked, self._unasked = self._unasked, []
            self._asked += unasked
        by_place: dict[str, list[PendingCheck]] = {}
        for check in unasked:
            by_place.setdefault(check.publication.store.place, []).append(check)
        for checks in by_place.values():
            # A row is never longer than what one thread would ask one after the other.
            length = -(-len(checks) // self._pool.threads)
            for start in range(0, len(checks), length):
                self._submit(checks[start : start + length])

    def await_answers(self, seconds: float) -> None:
        """Wait until all that was asked is answered, other checks begin, or the time is over."""
        self._pool.wait_for(lambda: bool(self._unasked) or self._all_answered(), seconds)

    def finish(self, check: PendingCheck) -> Found:
        """Wait for the answers.

        :raises KoPantsError: a registry cannot be reached, or refuses.
        """
        if self._unasked:
            self.ask()
        check.tasks.wait()
        return check.found()

    def _all_answered(self) -> bool:
        with self._lock:
            while self._asked and self._asked[-1].tasks.done:
                self._asked.pop()
            return not self._asked

    def _submit(self, batch: Sequence[PendingCheck]) -> None:
        def fail(error: BaseException) -> None:
            for check in batch:
                check.tasks.end(error)

        def ask() -> None:
            try:
                answers = self._ask_in_a_row(batch)
            except BaseException as e:
                fail(e)
                return
            for check in batch:
                self._go_on(check, answers.get(check, {}))

        self._pool.submit(ask, self._pool.group(), fail)

    def _go_on(self, check: PendingCheck, answers: Mapping[str, bool]) -> None:
        if set(answers) == set(self._first_questions(check.publication)):
            check.tasks.run(lambda: self._check(check, answers))
            return
        # A registry that does not simply answer takes time: each image has a thread of its own.
        self._pool.submit(lambda: self._check(check, answers), check.tasks)
        check.tasks.end()

    def _first_questions(self, publication: Publication) -> tuple[str, ...]:
        """The tags to ask for, or the image itself.

        A tag that was not seen in the last run most likely does not name the image yet. If the
        image itself was seen then, it is enough to ask for the image, and that saves a request.
        """
        tags = publication.destination.tags
        seen = self._memory.get(publication.destination.repository_name)
        if seen is not None and seen.digest == publication.image.descriptor.digest:
            tags = tuple(tag for tag in tags if tag in seen.tags)
        return tags or (_BY_DIGEST,)

    def _ask_in_a_row(self, batch: Sequence[PendingCheck]) -> dict[PendingCheck, dict[str, bool]]:
        """The answers by question, as far as a registry simply answers."""
        asked = [
            (check, check.publication.store, question)
            for check in batch
            if isinstance(check.publication.store, RegistryStore)
            for question in self._first_questions(check.publication)
        ]
        if not asked:
            return {}
        answers = self._client.head_manifests(
            [
                (
                    store.session,
                    store.repository.with_digest(check.publication.image.descriptor.digest)
                    if question == _BY_DIGEST
                    else store.repository.with_tag(question),
                    check.publication.image.descriptor.digest,
                )
                for check, store, question in asked
            ]
        )
        known: dict[PendingCheck, dict[str, bool]] = {}
        for (check, _, question), (answered, descriptor) in zip(asked, answers):
            if answered:
                wanted = check.publication.image.descriptor.digest
                known.setdefault(check, {})[question] = (
                    descriptor is not None and descriptor.digest == wanted
                )
        return known

    def _check(self, check: PendingCheck, known: Mapping[str, bool]) -> None:
        """Ask the first questions that are not `known`, then for the image and for its blobs."""
        publication = check.publication
        image, store = publication.image, publication.store
        check.current_tags = frozenset(
            tag
            for tag in self._first_questions(publication)
            if tag != _BY_DIGEST and (known[tag] if tag in known else store.tagged(tag, image))
        )
        # A tag that names the image shows that the image is there.
        check.present = bool(check.current_tags) or (
            known[_BY_DIGEST] if _BY_DIGEST in known else store.has_image(image)
        )
        if check.current_tags.issuperset(publication.destination.tags):
            remember(self._memory, publication)
        if not check.present:
            for descriptor in image.blobs().values():
                self._pool.submit(
                    lambda d=descriptor: self._look_for(check, d),  # type: ignore[misc]
                    check.tasks,
                )

    def _look_for(self, check: PendingCheck, descriptor: Descriptor) -> None:
        if not check.publication.store.has_blob(descriptor):
            with self._lock:
                check.missing[descriptor.digest] = descriptor
