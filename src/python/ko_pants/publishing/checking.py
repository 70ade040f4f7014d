"""The first step of a publish: what does the destination have of an image?

Images come one after the other, as they are built. Their questions are kept until `Checker.ask`
sends those of all images that have come, in a few rows of HEADs and side by side.

Three questions follow each other, each only if the answer to the one before is no: do the tags name
the image, is it there under its digest, and which of its blobs are there. Where the last run saw
another image in the repository, the answers are most likely no, and all are asked at once. Where
nothing is remembered and a tag names another image, the last two are asked at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Callable, Sequence, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError
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
    """The questions of one publication, and the answers that have come.

    :param questions: the first ones: tags, or `_BY_DIGEST`.
    :param seen: what the last run saw in the repository; None if that is not known.
    """

    def __init__(
        self,
        publication: Publication,
        tasks: TaskGroup,
        questions: Sequence[str],
        seen: RepositoryMemory | None,
    ) -> None:
        self.publication = publication
        self.tasks = tasks
        self.questions = questions
        self.seen = seen
        #: First question -> digest of what was found; empty if there is nothing.
        self.answers: dict[str, str] = {}
        self.by_digest = False
        self.missing: dict[str, Descriptor] = {}
        #: Why a question that was asked ahead has no answer. If the image is there, none is needed.
        self.failure: KoPantsError | None = None

    @property
    def done(self) -> bool:
        """True once `Checker.finish` need not wait."""
        return self.tasks.done

    @property
    def current_tags(self) -> frozenset[str]:
        """Tags that name the image."""
        return frozenset(
            tag
            for tag, digest in self.answers.items()
            if digest == self._wanted and tag != _BY_DIGEST
        )

    @property
    def present(self) -> bool:
        """True if the image is there. A tag that names it shows that."""
        return self.by_digest or self._wanted in self.answers.values()

    @property
    def asks_ahead(self) -> bool:
        """True if the image and its blobs are asked for together with the first questions."""
        # A look at the disk takes no round trip that could be saved.
        on_registry = isinstance(self.publication.store, RegistryStore)
        return on_registry and self.seen is not None and self.seen.digest != self._wanted

    @property
    def follows_another(self) -> bool:
        """True if all that is known of the repository is that a tag names another image."""
        return self.seen is None and any(self.answers.values()) and not self.present

    @property
    def _wanted(self) -> str:
        return self.publication.image.descriptor.digest

    def found(self) -> Found:
        """The answers, once all tasks have ended.

        :raises KoPantsError: the registry did not answer a question that has turned out to matter.
        """
        current, present = self.current_tags, self.present
        if self.failure is not None and not present:
            raise self.failure
        stale = tuple(tag for tag in self.publication.destination.tags if tag not in current)
        # In the order of the image: the answers come in any order.
        missing = {
            digest: self.missing[digest]
            for digest in (self.publication.image.blobs() if self.missing and not present else ())
            if digest in self.missing
        }
        return Found(self.publication, stale, present, missing)


#: A first question of a check.
_Asked = Tuple[PendingCheck, str]


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
        check = self._new_check(publication)
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
        repositories = [
            check.publication.store.repository
            for check in unasked
            if isinstance(check.publication.store, RegistryStore)
        ]
        if repositories:
            self._client.expect(repositories)
        # No two questions of a row expect the same digest, so each question of a check has its own.
        rows: dict[tuple[str, int], list[_Asked]] = {}
        for check in unasked:
            for position, question in enumerate(check.questions):
                check.tasks.begin()
                place = check.publication.store.place
                rows.setdefault((place, position), []).append((check, question))
        for asked in rows.values():
            # A row is never longer than what one thread would ask one after the other.
            length = -(-len(asked) // self._pool.threads)
            for start in range(0, len(asked), length):
                self._submit(asked[start : start + length])
        for check in unasked:
            if check.asks_ahead:
                self._ask_ahead(check)
            check.tasks.end()

    def await_answers(self, seconds: float) -> bool:
        """Wait until all that was asked is answered, other checks begin, or the time is over.

        :returns: True if all is answered.
        """
        self._pool.wait_for(lambda: bool(self._unasked) or self._all_answered(), seconds)
        return self._all_answered()

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

    def _new_check(self, publication: Publication) -> PendingCheck:
        """The first questions: the tags to ask for, or the image itself.

        A tag that was not seen in the last run most likely does not name the image yet. If the
        image itself was seen then, it is enough to ask for the image, and that saves a request.
        """
        tags = publication.destination.tags
        seen = self._memory.get(publication.destination.repository_name)
        if seen is not None and seen.digest == publication.image.descriptor.digest:
            tags = tuple(tag for tag in tags if tag in seen.tags)
        return PendingCheck(publication, self._pool.group(), tags or (_BY_DIGEST,), seen)

    def _submit(self, batch: Sequence[_Asked]) -> None:
        def fail(error: BaseException) -> None:
            for check, _ in batch:
                check.tasks.end(error)

        def ask() -> None:
            try:
                answers = self._ask_in_a_row(batch)
            except BaseException as e:
                fail(e)
                return
            for (check, question), answer in zip(batch, answers):
                self._go_on(check, question, answer)

        self._pool.submit(ask, self._pool.group(), fail)

    def _go_on(self, check: PendingCheck, question: str, answer: str | None) -> None:
        if answer is not None:
            check.tasks.run(lambda: self._note(check, question, answer))
            return
        # A registry that does not simply answer takes time: each question has a thread of its own.
        self._pool.submit(lambda: self._ask_alone(check, question), check.tasks)
        check.tasks.end()

    def _ask_in_a_row(self, batch: Sequence[_Asked]) -> list[str | None]:
        """The answers as far as a registry simply answers; None where it does not."""
        questions = [
            (
                store.session,
                store.repository.with_digest(check.publication.image.descriptor.digest)
                if question == _BY_DIGEST
                else store.repository.with_tag(question),
                check.publication.image.descriptor.digest,
            )
            for check, question in batch
            if isinstance(store := check.publication.store, RegistryStore)
        ]
        if not questions:
            return [None] * len(batch)
        return [
            ("" if descriptor is None else descriptor.digest) if answered else None
            for answered, descriptor in self._client.head_manifests(questions)
        ]

    def _ask_alone(self, check: PendingCheck, question: str) -> None:
        image, store = check.publication.image, check.publication.store
        if question != _BY_DIGEST:
            answer = store.tag_digest(question, image)
        else:
            answer = image.descriptor.digest if store.has_image(image) else ""
        self._note(check, question, answer)

    def _note(self, check: PendingCheck, question: str, answer: str) -> None:
        """Note the answer to a first question; after the last one, ask for what follows."""
        with self._lock:
            check.answers[question] = answer
            if len(check.answers) < len(check.questions):
                return
        publication = check.publication
        if check.current_tags.issuperset(publication.destination.tags):
            remember(self._memory, publication)
        if check.present or check.asks_ahead:
            return
        if check.follows_another:
            self._ask_ahead(check)
            return
        if _BY_DIGEST not in check.answers:
            check.by_digest = publication.store.has_image(publication.image)
        if not check.by_digest:
            for ask in self._blob_questions(check):
                self._pool.submit(ask, check.tasks)

    def _ask_ahead(self, check: PendingCheck) -> None:
        """Ask for the image and its blobs at once; the blobs matter only if it is not there."""

        def look_for_image() -> None:
            check.by_digest = check.publication.store.has_image(check.publication.image)

        def kept(ask: Callable[[], None]) -> None:
            try:
                ask()
            except KoPantsError as e:
                check.failure = e

        for ask in (look_for_image, *self._blob_questions(check)):
            self._pool.submit(lambda a=ask: kept(a), check.tasks)  # type: ignore[misc]

    def _blob_questions(self, check: PendingCheck) -> list[Callable[[], None]]:
        def look_for(descriptor: Descriptor) -> None:
            if not check.publication.store.has_blob(descriptor):
                with self._lock:
                    check.missing[descriptor.digest] = descriptor

        blobs = check.publication.image.blobs().values()
        return [lambda d=descriptor: look_for(d) for descriptor in blobs]  # type: ignore[misc]
