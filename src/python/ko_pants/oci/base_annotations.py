"""Annotations of a base image: what is said of it, and which of its own an image on it keeps.

ko keeps all annotations of the base's manifests and of the entries of its index. Some of them would
be false of the new image: they say which image the base is, when it was built, and from which
version. A label of the base with such a key is kept, as in ko and in docker.
"""

from __future__ import annotations

from typing import Iterable

ANNOTATION_BASE_DIGEST = "org.opencontainers.image.base.digest"
ANNOTATION_BASE_NAME = "org.opencontainers.image.base.name"

#: What the plugin writes itself.
BASE_ANNOTATIONS = (ANNOTATION_BASE_NAME, ANNOTATION_BASE_DIGEST)

# Keys of annotations that are true of the base alone.
_OF_THE_BASE_ALONE = frozenset(
    (
        # The base of the base.
        *BASE_ANNOTATIONS,
        # When the base was built.
        "org.opencontainers.image.created",
        # The version of the software in the base, and the commit that it was built from. A reader
        # would take them for those of the program.
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        # The name of the base, in a layout and in containerd.
        "org.opencontainers.image.ref.name",
        "io.containerd.image.name",
    )
)


def inherited_annotations(of_base: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What an image keeps of the annotations of its base's manifest or index entry."""
    return {key: value for key, value in of_base if key not in _OF_THE_BASE_ALONE}
