"""One image on its way to one destination: what is planned, what was found, what was done.

Each step of a publish makes a new value of these types from the one before; none is ever edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Mapping

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import BaseImage, Image
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.stores import Store

if TYPE_CHECKING:
    from ko_pants.publishing.attachments import Attachment


@dataclass(frozen=True)
class BlobOutcome:
    """What was done for one blob in this run.

    :param outcome: `reused`, `mounted`, `uploaded` or `written`.
    :param bytes: sent or written for it; 0 where it was there or was mounted.
    """

    outcome: str
    bytes: int


REUSED = BlobOutcome("reused", 0)


# Compared by identity: a value belongs to one run, and an image is dear to compare.
@dataclass(frozen=True, eq=False)
class Publication:
    """What shall be published: one image, and the repository and tags that it goes to.

    :param target: the address of the target, for messages.
    :param store: the connection to the repository of `destination`; it counts its requests.
    """

    target: str
    image: Image
    base: BaseImage
    destination: Destination
    store: Store


@dataclass(frozen=True, eq=False)
class Found:
    """What the destination answered.

    :param stale_tags: tags that do not name the image.
    :param present: the destination has the image, whatever its tags are.
    :param missing: digest -> descriptor of the blobs that it lacks; empty where it is `present`.
    """

    publication: Publication
    stale_tags: tuple[str, ...]
    present: bool
    missing: Mapping[str, Descriptor]

    @property
    def up_to_date(self) -> bool:
        """True if every tag names the image already."""
        return not self.stale_tags

    @property
    def new_subjects(self) -> frozenset[str]:
        """Digests of index and manifests that the destination surely lacks."""
        if self.present:
            return frozenset()
        image = self.publication.image
        new = (m for m in image.children if m.config_descriptor.digest in self.missing)
        return frozenset((image.descriptor.digest, *(child.descriptor.digest for child in new)))

    @cached_property
    def missing_layers(self) -> tuple[str, ...]:
        """Digests of missing layers that are not the base's: only the engine has their bytes."""
        if not self.missing:
            return ()
        added = {
            layer.descriptor.digest
            for manifest in self.publication.image.manifests
            for layer in manifest.layers
            if layer.kind != "base"
        }
        return tuple(digest for digest in self.missing if digest in added)


@dataclass(frozen=True, eq=False)
class Published:
    """What has become of an image at the end of a run.

    :param outcomes: digest -> outcome of every blob for which something was done.
    :param requests: HTTP requests that were made for it.
    :param failure: why its tags were not moved, or why it is not signed; empty if all is well.
    :param artifacts: outcome of every artifact that is known to be there.
    """

    outcomes: Mapping[str, BlobOutcome]
    requests: int
    failure: str = ""
    artifacts: Mapping[Attachment, BlobOutcome] = field(default_factory=dict)

    def outcome(self, digest: str) -> BlobOutcome:
        """What was done for a blob."""
        return self.outcomes.get(digest, REUSED)
