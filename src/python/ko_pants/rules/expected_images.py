"""Where the images of a daemon's first publish go, known before the first of them is built.

One token is asked for many repositories, of those that the run is known to push to. A new daemon
builds its images one after another, and asks for each as it comes: a token for each few of them.
Pants has all packages made side by side, so the repositories of nearly all images are noted before
the first image is there. Later runs find the tokens of the last one, and bring their images at
once.
"""

from __future__ import annotations

from typing import Iterable

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import packaging
from ko_pants.oci.reference import Reference
from ko_pants.products import PackagingRequest
from ko_pants.publishing.destinations import Destination

_MAX_REPOSITORIES = 10_000

_repositories: BoundedMemory[Reference, bool] = BoundedMemory(
    name="rules.expected_images: repositories",
    bound=_MAX_REPOSITORIES,
    holds="where the images of the first publish of the daemon go, until its run has read them; "
    "tokens are asked for them together, and a wrong one costs a longer token",
)

_over: BoundedMemory[str, bool] = BoundedMemory(
    name="rules.expected_images: first publish",
    bound=1,
    holds="that the first publish of the daemon is over, so that nothing is noted any more",
)


async def note_destinations(destinations: Iterable[Destination]) -> None:
    """Note where an image goes, if it is made to be published, and the daemon did not before."""
    if "over" in _over or (await packaging(PackagingRequest())).writes_files:
        return
    for destination in destinations:
        if destination.registry and not destination.skip:
            _repositories.put(destination.reference, True)


def take_repositories() -> list[Reference]:
    """What was noted since the last call."""
    return [ref for ref in _repositories if _repositories.pop(ref)]


def end_first_publish() -> None:
    """Note nothing from now on."""
    _over.put("over", True)
    _repositories.clear()
