"""Publishing the images of a run: look first, bring what is missing, move the tags last.

Images arrive one by one, as they are built:

    publisher.begin_check(publication)   its HEADs are asked with those of others
    publisher.finish_check(publication)  what a tag names already is done; what is missing is known
    publisher.begin_upload(publication)  blobs and child manifests; nothing visible changes
    publisher.commit(publications)       once all are uploaded: indexes and tags

Requests are made from one pool of threads, across images. A blob that several repositories of one
registry lack goes up once and is mounted in the others.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import BinaryIO, Callable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import BaseImage, Image
from ko_pants.oci.layout import Layout
from ko_pants.oci.reference import Reference
from ko_pants.publishing.destinations import Destination, check_distinct
from ko_pants.publishing.stores import LayoutStore, RegistryStore, Store, named_in_a_row
from ko_pants.publishing.temporary import make_directory
from ko_pants.publishing.worker_pool import Ticket, WorkerPool, perform
from ko_pants.registry.client import RegistryClient

_THREADS = 16
# Publications whose questions do not wait for those of more.
_MANY = 64
_PROGRESS_SECONDS = 5.0


@dataclass
class Publication:
    """One image on its way to one destination, and what has become of it.

    :param missing: blobs that the destination lacked when it was looked at.
    :param outcomes: digest -> (outcome, bytes sent or written for it in this run).
    """

    target: str
    image: Image
    base: BaseImage
    destination: Destination
    store: Store
    stale_tags: tuple[str, ...] = ()
    present: bool = False
    missing: dict[str, Descriptor] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, int]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    ticket: Ticket = field(default_factory=Ticket)

    @property
    def up_to_date(self) -> bool:
        """True if every tag named the image before this run did anything."""
        return not self.stale_tags

    def outcome(self, digest: str) -> tuple[str, int]:
        """What became of a blob: `reused` without bytes unless something was done for it."""
        return self.outcomes.get(digest, ("reused", 0))


@dataclass(frozen=True)
class RepositoryMemory:
    """What was last seen in a repository: an image and the tags that name it."""

    digest: str
    tags: frozenset[str]


@dataclass
class _Transfer:
    """A blob on its way to one registry or layout: who waits for it, who has it."""

    queue: list[Publication] = field(default_factory=list)
    have: list[str] = field(default_factory=list)
    running: bool = False


class Publisher:
    """Publishes the images of one run.

    :param client: the registry client of the run.
    :param layout_root: what layout paths are relative to.
    :param memory: repository -> what earlier runs of this process saw there. It saves questions
        and decides nothing: what it says is present is still asked for.
    """

    def __init__(
        self,
        client: RegistryClient,
        *,
        layout_root: str,
        memory: dict[str, RepositoryMemory] | None = None,
        threads: int = _THREADS,
    ) -> None:
        self._client = client
        self._layout_root = layout_root
        self._memory = {} if memory is None else memory
        self._pool = WorkerPool(threads)
        self._threads = threads
        self._unasked: list[Publication] = []
        self._lock = threading.Lock()
        self._layouts: dict[str, dict[str, Descriptor]] = {}
        self._targets: dict[str, str] = {}
        self._transfers: dict[tuple[str, str], _Transfer] = {}
        self._total = 0
        self._sent = 0
        self._spool = ""
        #: Publications that have begun: a caller sees by it whether others still arrive.
        self.arrivals = 0

    def close(self) -> None:
        """End with what has not begun; drop temporary files."""
        self._pool.close()
        self._drop_spool()

    def _drop_spool(self) -> None:
        if self._spool:
            shutil.rmtree(self._spool, ignore_errors=True)

    def publication(
        self, target: str, image: Image, base: BaseImage, destination: Destination
    ) -> Publication:
        """Begin with an image; nothing is asked yet, but a layout's index is read.

        :raises KoPantsError: the layout is damaged, or another target has the same reference.
        """
        with self._lock:
            check_distinct(self._targets, target, destination)
            self.arrivals += 1
            store: Store
            if destination.layout:
                path = os.path.join(self._layout_root, destination.layout)
                if path not in self._layouts:
                    self._layouts[path] = Layout(path).references()
                store = LayoutStore(path, destination.repository, self._layouts[path])
            else:
                store = RegistryStore(self._client, destination.reference)
        return Publication(target, image, base, destination, store)

    def begin_check(self, publication: Publication) -> None:
        """Note the questions after its tags; they are asked with those of others, see `ask`."""
        publication.ticket = Ticket()
        publication.ticket.begin()
        with self._lock:
            self._unasked.append(publication)
            enough = len(self._unasked) >= _MANY
        if enough:
            self.ask()

    def ask(self) -> None:
        """Ask the questions of all that have begun."""
        with self._lock:
            unasked, self._unasked = self._unasked, []
        by_place: dict[str, list[Publication]] = {}
        for publication in unasked:
            by_place.setdefault(publication.store.place, []).append(publication)
        for publications in by_place.values():
            # Never more in a row than one thread would ask one after the other.
            depth = -(-len(publications) // self._threads)
            for start in range(0, len(publications), depth):
                self._submit_checks(publications[start : start + depth])

    def finish_check(self, publication: Publication) -> None:
        """Wait for the answers: `stale_tags`, `present` and `missing` are known after that.

        :raises KoPantsError: a registry cannot be reached or refuses.
        """
        if self._unasked:
            self.ask()
        publication.ticket.wait()

    def _submit_checks(self, batch: Sequence[Publication]) -> None:
        def end(error: BaseException) -> None:
            for publication in batch:
                publication.ticket.end(error)

        def check() -> None:
            try:
                known = self._ask_in_a_row(batch)
            except BaseException as e:
                end(e)
                return
            for publication in batch:
                answers = known.get(id(publication), {})
                if set(answers) == set(self._first_questions(publication)):
                    perform(lambda p=publication, a=answers: self._check(p, a), publication.ticket)  # type: ignore[misc]
                    continue
                # What a registry does not simply answer takes time: one by one, side by side.
                self._pool.submit(
                    lambda p=publication, a=answers: self._check(p, a),  # type: ignore[misc]
                    publication.ticket,
                )
                publication.ticket.end(None)

        self._pool.submit(check, Ticket(), end)

    def _first_questions(self, publication: Publication) -> tuple[str, ...]:
        """Tags, or "" for the image itself.

        Of a tag that was never seen, on an image that was, the likely answer is no: asking for the
        image alone saves a request.
        """
        tags = publication.destination.tags
        seen = self._memory.get(publication.destination.repository_name)
        if seen is not None and seen.digest == publication.image.descriptor.digest:
            tags = tuple(tag for tag in tags if tag in seen.tags)
        return tags or ("",)

    def _ask_in_a_row(self, batch: Sequence[Publication]) -> dict[int, dict[str, bool]]:
        """By id of the publication and question, as far as a registry simply answers."""
        asked = [
            (publication, publication.store, question)
            for publication in batch
            if isinstance(publication.store, RegistryStore)
            for question in self._first_questions(publication)
        ]
        known: dict[int, dict[str, bool]] = {}
        if asked:
            answers = named_in_a_row(self._client, [(s, q, p.image) for p, s, q in asked])
            for (publication, _, question), answer in zip(asked, answers):
                if answer is not None:
                    known.setdefault(id(publication), {})[question] = answer
        return known

    def _check(self, publication: Publication, known: Mapping[str, bool]) -> None:
        """Ask what is not `known` of the first questions, then for the image and its blobs."""
        tags = publication.destination.tags
        image, store = publication.image, publication.store
        current = set()
        for tag in filter(None, self._first_questions(publication)):
            if known[tag] if tag in known else store.tagged(tag, image):
                current.add(tag)
        stale = tuple(tag for tag in tags if tag not in current)
        publication.stale_tags = stale
        publication.missing = {}
        # A tag that names the image shows that it is there.
        publication.present = bool(current) or (
            known[""] if "" in known else store.has_image(image)
        )
        if not stale:
            self._remember(publication)
        if not publication.present:
            for descriptor in image.blobs().values():
                self._pool.submit(
                    lambda d=descriptor: self._look(publication, d),  # type: ignore[misc]
                    publication.ticket,
                )

    def _remember(self, publication: Publication) -> None:
        self._memory[publication.destination.repository_name] = RepositoryMemory(
            publication.image.descriptor.digest, frozenset(publication.destination.tags)
        )

    def _look(self, publication: Publication, descriptor: Descriptor) -> None:
        if not publication.store.has_blob(descriptor):
            with self._lock:
                publication.missing[descriptor.digest] = descriptor

    def spool_path(self, digest: str) -> str:
        """Where the bytes of a blob can be put for its upload; deleted with the run."""
        with self._lock:
            if not self._spool:
                self._spool = make_directory("blobs")
        return os.path.join(self._spool, digest.partition(":")[2])

    def begin_upload(self, publication: Publication, files: Mapping[str, str]) -> None:
        """Bring blobs, then child manifests. Nothing that a tag names changes.

        :param files: digest -> path of every missing blob that neither the image (configs) nor its
            base has.
        """
        publication.ticket = Ticket()
        publication.files = dict(files)
        publication.waiting = set(publication.missing)
        if publication.present:
            return
        if not publication.waiting:
            self._submit_children(publication)
        for digest in list(publication.missing):
            key = (publication.store.place, digest)
            publication.ticket.begin()
            with self._lock:
                transfer = self._transfers.setdefault(key, _Transfer())
                transfer.queue.append(publication)
                start = not transfer.running
                transfer.running = True
                self._total += publication.missing[digest].size
            if start:
                self._pool.submit(
                    lambda d=digest, t=transfer: self._transfer(d, t),  # type: ignore[misc]
                    Ticket(),
                    lambda e, t=transfer: self._drop(t, e),  # type: ignore[misc]
                )

    def wait(self, publications: Sequence[Publication], report: Callable[[str], None]) -> None:
        """Wait for all uploads; `report` takes a line of progress every few seconds.

        :raises KoPantsError: a transfer failed for good.
        """
        started = time.monotonic()
        for publication in publications:
            try:
                while not publication.ticket.wait(_PROGRESS_SECONDS):
                    seconds = time.monotonic() - started
                    report(
                        f"Uploading: {self._sent / 1e6:.1f} of {self._total / 1e6:.1f} MB, "
                        f"{self._sent / 1e6 / seconds:.1f} MB/s"
                    )
            except KoPantsError as e:
                raise KoPantsError(f"{publication.target}: {e}") from None

    def commit(
        self, publications: Sequence[Publication], report: Callable[[str], None]
    ) -> dict[int, str]:
        """Wait for the uploads, then move the tags that are stale.

        No tag moves if an upload failed. Otherwise every image is tried.

        :returns: position in `publications` -> what went wrong, for those that failed.
        """
        try:
            self.wait(publications, report)
        except KoPantsError as e:
            return dict.fromkeys(range(len(publications)), f"not tagged: {e}")
        failures: dict[int, str] = {}
        by_layout: dict[str, dict[str, Descriptor]] = {}

        def move(position: int) -> None:
            publication = publications[position]
            try:
                named = publication.store.put_tags(
                    publication.stale_tags,
                    publication.image,
                    lambda digests: self._repair(publication, digests),
                )
            except KoPantsError as e:
                failures[position] = str(e)
                return
            self._remember(publication)
            if named:
                with self._lock:
                    by_layout.setdefault(publication.store.place, {}).update(named)

        ticket = Ticket()
        for position in range(len(publications)):
            self._pool.submit(lambda p=position: move(p), ticket)  # type: ignore[misc]
        ticket.wait()
        for path, references in by_layout.items():
            Layout(path).update(references)
        self._drop_spool()
        return failures

    def _transfer(self, digest: str, transfer: _Transfer) -> None:
        """One blob for every repository of a registry or layout that lacks it, one by one."""
        while True:
            with self._lock:
                if not transfer.queue:
                    transfer.running = False
                    return
                publication = transfer.queue.pop(0)
            error: BaseException | None = None
            try:
                self._bring_blob(digest, publication, transfer.have)
            except BaseException as e:
                error = e
            if error is None:
                with self._lock:
                    publication.waiting.discard(digest)
                    last = not publication.waiting
                if last:
                    self._submit_children(publication)
            publication.ticket.end(error)

    def _drop(self, transfer: _Transfer, error: BaseException) -> None:
        """The run is over before the transfer began: nobody must wait for it."""
        with self._lock:
            waiting, transfer.queue = transfer.queue, []
            transfer.running = False
        for publication in waiting:
            publication.ticket.end(error)

    def _submit_children(self, publication: Publication) -> None:
        for child in publication.image.children:
            self._pool.submit(
                lambda c=child: publication.store.put_manifest(  # type: ignore[misc]
                    c.descriptor, c.manifest, lambda d: self._repair(publication, d)
                ),
                publication.ticket,
            )

    def _repair(self, publication: Publication, digests: Sequence[str]) -> None:
        """Bring what a registry said it had and now refuses a manifest for the want of."""
        blobs = publication.image.blobs()
        for digest in digests:
            if digest in blobs:
                publication.missing[digest] = blobs[digest]
                self._bring_blob(digest, publication, [])
        children = publication.image.children
        # A registry may name only the first that it lacks: bring all of them.
        if any(child.descriptor.digest in digests for child in children):
            for child in children:
                publication.store.put_manifest(
                    child.descriptor,
                    child.manifest,
                    lambda missing: self._repair(publication, missing),
                )

    def _bring_blob(self, digest: str, publication: Publication, have: list[str]) -> None:
        descriptor = publication.missing[digest]
        if publication.destination.layout and publication.store.has_blob(descriptor):
            return
        sent = 0

        def count(sent_now: int) -> None:
            # A new attempt counts from the beginning.
            nonlocal sent
            with self._lock:
                self._sent += sent_now - sent
            sent = sent_now

        outcome = publication.store.put_blob(
            descriptor,
            lambda: self._open(digest, publication),
            [*have[:1], *_mountable(publication, digest)],
            count,
        )
        publication.outcomes[digest] = (outcome, sent)
        have.append(publication.destination.repository)

    def _open(self, digest: str, publication: Publication) -> BinaryIO:
        config = publication.image.configs().get(digest)
        if config is not None:
            return io.BytesIO(config)
        if digest in publication.files:
            return open(publication.files[digest], "rb")
        of_base = {layer.digest for m in publication.base.manifests for layer in m.layers}
        if digest not in of_base:
            raise KoPantsError(
                f"{publication.destination.repository_name} answered that it has the blob {digest} "
                "and then refused a manifest that names it. Run again; if it lasts, the registry "
                "has lost the blob: delete the image there, or publish to another repository"
            )
        source = publication.base.source
        if source.startswith("oci:"):
            return open(Layout(source[len("oci:") :]).blob_path(digest), "rb")
        reference = Reference.parse(source, default_tag="")
        return self._client.session().open_blob(reference, publication.missing[digest])


def _mountable(publication: Publication, digest: str) -> list[str]:
    """The base's repository, if the blob is of the base and on the same registry."""
    base = publication.base
    registry, _, repository = base.source.partition("/")
    if registry != publication.destination.registry or not repository:
        return []
    in_base = any(layer.digest == digest for m in base.manifests for layer in m.layers)
    return [repository] if in_base else []


def missing_layers(publication: Publication) -> list[str]:
    """Digests of missing layers whose bytes only the engine has: those that are not the base's."""
    if not publication.missing:
        return []
    own = {
        layer.descriptor.digest
        for manifest in publication.image.manifests
        for layer in manifest.layers
        if layer.kind != "base"
    }
    return [digest for digest in publication.missing if digest in own]
