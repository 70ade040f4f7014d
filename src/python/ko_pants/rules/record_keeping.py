"""Keeps the record of what an image was made from, at the end of a publish, if that has changed.

A run in which nothing changed compares one text per image, in memory. A new daemon reads one small
file per image.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from pants.engine.addresses import Address

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import listed_inputs
from ko_pants.explanation.changes import Change, changes_between
from ko_pants.explanation.record import Deeds, ImageRecord, Input, PlatformResult
from ko_pants.explanation.store import ImagePlace, NewRecord, RecordStore
from ko_pants.process_log import SOURCES, Work
from ko_pants.products import BuiltImage, PublishPlan
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.publication import Found, Published
from ko_pants.rules.built_inputs import layer_name
from ko_pants.rules.layer import open_kocache

logger = logging.getLogger(__name__)

_MAX_IMAGES = 20_000

_keys: BoundedMemory[tuple[str, str], str] = BoundedMemory(
    name="rules.record_keeping: keys of records",
    bound=_MAX_IMAGES,
    holds="what the last record of an image was made from, as a hash, so that a run in which that "
    "did not change need not look; whoever deletes the file gets it again after the next change, "
    "or after `ko-explain` has missed it",
)


@dataclass(frozen=True, eq=False)
class PendingRecord:
    """What is known of an image before its tags have moved.

    :param inputs: None if they cannot be listed: then nothing is recorded.
    """

    kocache: str
    place: ImagePlace
    key: str
    inputs: tuple[Input, ...] | None


@dataclass(frozen=True, eq=False)
class PublishedImage:
    """What became of an image at one destination.

    :param outcome: one of `run_totals.IMAGE_OUTCOMES`.
    """

    built: BuiltImage
    found: Found
    result: Published
    outcome: str


def image_place(address: Address, destinations: Iterable[Destination], root: str) -> ImagePlace:
    """What the records of an image are found by. Without repositories it is not pushed.

    :param root: the build root, which relative layouts are in.
    """
    names = {
        os.path.join(root, destination.repository_name)
        if destination.layout
        else destination.repository_name
        for destination in destinations
        if not destination.skip
    }
    return ImagePlace(str(address), tuple(sorted(names)))


def open_records(kocache: str) -> RecordStore:
    """The records in a KOCACHE."""
    return RecordStore(open_kocache(kocache).root)


def forget(kocache: str, place: ImagePlace) -> None:
    """Let the next publish look whether the record is there."""
    _keys.pop((kocache, place.name))


async def pending_record(plan: PublishPlan, kocache: str) -> PendingRecord | None:
    """What is to be recorded when the image is published; None if it is recorded already.

    A record is never worth a failure: without one the image is published all the same.
    """
    place, key = plan.place, plan.inputs.key
    if not place.repositories:
        return None
    known = _keys.get((kocache, place.name))
    if known == key:
        return None
    if known is None and open_records(kocache).last_key(place) == key:
        _keys.put((kocache, place.name), key)
        return None
    try:
        listed = await listed_inputs(plan.inputs)
    except Exception as e:
        # The engine has lost the list of some directory.
        logger.debug(f"{place.address}: not recorded for ko-explain: {e}")
        return PendingRecord(kocache, place, key, None)
    return PendingRecord(kocache, place, key, listed.inputs)


def keep_records(
    pending: Mapping[str, PendingRecord],
    images: Mapping[str, Sequence[PublishedImage]],
    work: Work,
) -> None:
    """Write the records of images that are published.

    :param pending: by the address of the target.
    :param images: likewise; without those that failed.
    """
    now = int(time.time())
    by_store: dict[str, list[NewRecord]] = {}
    for owner, published in images.items():
        of = pending.get(owner)
        if of is not None and of.inputs is not None and published:
            record = _record(of, of.inputs, published, work, now)
            by_store.setdefault(of.kocache, []).append(NewRecord(of.place, of.key, record))
    for kocache, records in by_store.items():
        if open_records(kocache).write(records):
            for new in records:
                _keys.put((kocache, new.place.name), new.key)


def changes_of(
    pending: Mapping[str, PendingRecord],
    images: Mapping[str, Sequence[PublishedImage]],
    work: Work,
) -> dict[str, tuple[Change, ...]]:
    """What has changed in images since their last publish, by the address of the target.

    To be asked before `keep_records`. An image of which nobody knows is left out.

    :param pending: by the address of the target.
    :param images: likewise.
    """
    found: dict[str, tuple[Change, ...]] = {}
    for owner, published in images.items():
        of = pending.get(owner)
        if of is None:
            found[owner] = ()
        elif of.inputs is not None:
            before = open_records(of.kocache).history(of.place).last
            found[owner] = changes_between(before, _record(of, of.inputs, published, work, 0))
    return found


def _record(
    pending: PendingRecord,
    inputs: tuple[Input, ...],
    published: Sequence[PublishedImage],
    work: Work,
    now: int,
) -> ImageRecord:
    built = published[0].built
    manifests = {str(m.platform): m.descriptor.digest for m in built.image.manifests}
    results = []
    compiles = []
    for part in built.platforms:
        platform = str(part.platform)
        programs = [(e.import_path, e.file_digest) for e in part.executables]
        layers = [(layer_name(a), a.layer.descriptor.digest) for a in part.layers]
        results.append(
            PlatformResult(platform, manifests[platform], tuple(programs), tuple(layers))
        )
        compiles += [
            (e.import_path, platform, work.compiles.get(e.file_digest, SOURCES["memoized"]))
            for e in part.executables
            if e.compiled
        ]
    outcomes = {}
    for digest in dict.fromkeys(digest for result in results for _, digest in result.layers):
        done = {of.result.outcome(digest).outcome for of in published}
        outcomes[digest] = next(iter(sorted(done - {"reused"})), "reused")
    deeds = Deeds(
        tuple(compiles),
        tuple(outcomes.items()),
        tuple((of.found.publication.destination.repository_name, of.outcome) for of in published),
    )
    return ImageRecord(
        pending.place.address,
        inputs,
        built.image.descriptor.digest,
        tuple(results),
        deeds,
        now,
    )
