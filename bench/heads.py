"""What pipelined HEADs save: the check of unchanged images, with pipelining and without.

Both sides run the check step of `publish` in this process, each time with a new client.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
import urllib.request
from pathlib import Path
from typing import Sequence

from bench.delay import delayed
from bench.measure import Outcome
from bench.registry import BASE_REPOSITORY, base_manifests, running_registry
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import Image, scratch_base
from ko_pants.oci.media_types import OCI_INDEX
from ko_pants.oci.reference import Reference
from ko_pants.publishing.checking import Memory
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.run import PublishRun
from ko_pants.registry.client import RegistryClient, RegistryConfig, RegistrySession

_COUNTS = (1, 50, 500)
_ROUND_TRIPS_SECONDS = (0.0, 0.04)


class _OneByOne(RegistryClient):
    """Stands in for the pipelined client: the general client sends every request by itself."""

    def head_manifests(
        self, questions: Sequence[tuple[RegistrySession, Reference, str]]
    ) -> list[tuple[bool, Descriptor | None]]:
        return [(False, None)] * len(questions)


def measure(work: Path, runs: int) -> Outcome:
    """Median seconds for several numbers of images, without and with a round trip of 40 ms."""
    outcome = Outcome()
    with running_registry(work / "heads") as registry:
        images = [_push(registry.host, n) for n in range(max(_COUNTS))]
        for round_trip in _ROUND_TRIPS_SECONDS:
            with delayed(registry.host, round_trip) as slow:
                host = slow if round_trip else registry.host
                for count in _COUNTS:
                    _compare(outcome, host, images[:count], round_trip, runs)
    return outcome


def _compare(
    outcome: Outcome, host: str, images: Sequence[Image], round_trip: float, runs: int
) -> None:
    taken: dict[str, list[float]] = {"in a row": [], "one by one": []}
    for _ in range(runs):
        taken["in a row"].append(_check(RegistryClient, host, images))
        taken["one by one"].append(_check(_OneByOne, host, images))
    for name, seconds in taken.items():
        what = f"{len(images)} images, {round_trip * 1000:.0f} ms, {name}: seconds"
        outcome.figures[what] = round(statistics.median(seconds), 4)


def _check(client: type[RegistryClient], host: str, images: Sequence[Image]) -> float:
    memory: Memory = BoundedMemory(name="bench", bound=1, holds="nothing: a run of a new daemon")
    run = PublishRun(client(RegistryConfig(env={})), layout_root="/nowhere", memory=memory)
    publications = [
        run.publication(
            f"//:{n}",
            image,
            scratch_base(()),
            Destination(BASE_REPOSITORY, (f"t{n}",), registry=host),
        )
        for n, image in enumerate(images)
    ]
    started = time.perf_counter()
    checks = [run.checks.begin(publication) for publication in publications]
    run.checks.ask()
    found = [run.checks.finish(check) for check in checks]
    seconds = time.perf_counter() - started
    run.close()
    if not all(f.up_to_date for f in found):
        raise SystemExit("an image was not found")
    return seconds


def _push(host: str, number: int) -> Image:
    """An index of the base's manifests with a content of its own, under the tag `t<number>`."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor for _, descriptor in base_manifests()],
        "annotations": {"number": str(number)},
    }
    content = json.dumps(document).encode()
    url = f"http://{host}/v2/{BASE_REPOSITORY}/manifests/t{number}"
    request = urllib.request.Request(
        url, data=content, method="PUT", headers={"Content-Type": OCI_INDEX}
    )
    urllib.request.urlopen(request).close()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Image((), content, Descriptor(OCI_INDEX, digest, len(content)))
