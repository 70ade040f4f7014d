"""What a run of `publish` did, all images together: as one line of text, and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, Mapping

from ko_pants.publishing.publication import Found, Published
from ko_pants.publishing.registries import LOCAL_DOMAINS
from ko_pants.publishing.sizes import size_text

#: What can become of an image at one destination, in the order of the line.
UP_TO_DATE = "up to date"
TAGGED = "tagged"
PUSHED = "pushed"
WRITTEN = "written"
LOADED = "loaded"
GIVEN_ARTIFACTS = "given artifacts"
NOT_PUSHED = "not pushed"
FAILED = "failed"
IMAGE_OUTCOMES = (
    *(UP_TO_DATE, TAGGED, PUSHED, WRITTEN),
    *(LOADED, GIVEN_ARTIFACTS, NOT_PUSHED, FAILED),
)
_COMPILE_SOURCES = {
    "ran": "run",
    "local cache": "from the local cache",
    "remote cache": "from the remote cache",
    "memoized": "in memory",
}
_LAYER_SOURCES = {**_COMPILE_SOURCES, "ran": "made", "kocache": "from KOCACHE"}
_PROCESS_SOURCES = ("ran", "local cache", "remote cache")
_TRANSFERS = ("uploaded", "written", "mounted", "reused")


def outcome_of(found: Found | None, *, began: bool, failed: bool) -> str:
    """What has become of an image at one destination: one of `IMAGE_OUTCOMES`.

    :param found: None if it is not pushed.
    :param began: something was to be done for it.
    """
    if failed:
        return FAILED
    if found is None:
        return NOT_PUSHED
    if not began:
        return UP_TO_DATE
    if found.up_to_date:
        # Its artifacts or its signature were missing.
        return GIVEN_ARTIFACTS
    if found.present:
        return TAGGED
    destination = found.publication.destination
    if destination.layout:
        return WRITTEN
    return LOADED if destination.registry in LOCAL_DOMAINS else PUSHED


@dataclass(frozen=True)
class Transfers:
    """What was done for blobs.

    :param layers: outcome (`uploaded`, ...) -> number of layers.
    :param layer_bytes: sent or written for them.
    :param pushed_bytes: sent to registries, for blobs and artifacts.
    :param written_bytes: written to layouts or for archives.
    """

    layers: Mapping[str, int] = field(default_factory=dict)
    layer_bytes: int = 0
    pushed_bytes: int = 0
    written_bytes: int = 0


def transfers_of(images: Iterable[tuple[Found, Published]]) -> Transfers:
    """Of images that were found, and what was done. Layers count where an image was lacking."""
    layers: Counter[str] = Counter()
    layer_bytes = 0
    by_outcome: Counter[str] = Counter()
    for found, published in images:
        for done in (*published.outcomes.values(), *published.artifacts.values()):
            by_outcome[done.outcome] += done.bytes
        if found.present:
            continue
        manifests = found.publication.image.manifests
        for digest in {x.descriptor.digest for m in manifests for x in m.layers}:
            done = published.outcome(digest)
            layers[done.outcome] += 1
            layer_bytes += done.bytes
    return Transfers(layers, layer_bytes, by_outcome["uploaded"], by_outcome["written"])


@dataclass(frozen=True)
class RunTotals:
    """The totals of one run.

    :param targets: number of images; one that goes to several destinations counts once.
    :param images: outcome -> number of images, for each destination.
    :param compiles: source -> number of executables; see `process_log`.
    :param layers: source -> number of layers.
    :param processes: source -> number of processes of any kind.
    :param requests: HTTP requests to registries and token servers.
    :param fetched_bytes: in the bodies of their replies.
    :param seconds: since the begin of the run.
    """

    targets: int
    images: Mapping[str, int]
    compiles: Mapping[str, int]
    layers: Mapping[str, int]
    processes: Mapping[str, int]
    transfers: Transfers
    requests: int
    fetched_bytes: int
    seconds: float

    def sentence(self) -> str:
        """One line for the terminal; what is zero is left out."""
        parts = [self._images(), self._compiles(), self._layers(), self._end()]
        return " ".join(part for part in parts if part)

    def to_json(self) -> dict[str, object]:
        """The documented contract of `[ko].report`."""
        return {
            "publisher": "ko_pants",
            "targets": self.targets,
            "images": _keyed(self.images, IMAGE_OUTCOMES),
            "compiles": _keyed(self.compiles, _COMPILE_SOURCES),
            "layers": _keyed(self.layers, _LAYER_SOURCES),
            "processes": _keyed(self.processes, _PROCESS_SOURCES),
            "transfers": _keyed(self.transfers.layers, _TRANSFERS),
            "bytes": {
                "fetched": self.fetched_bytes,
                "pushed": self.transfers.pushed_bytes,
                "written": self.transfers.written_bytes,
            },
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
        }

    def _images(self) -> str:
        destinations = sum(self.images.values())
        begin = _count(self.targets, "image")
        if destinations != self.targets:
            begin += f" at {_count(destinations, 'destination')}"
        return f"{begin}: {_listed(self.images, {o: o for o in IMAGE_OUTCOMES})}."

    def _compiles(self) -> str:
        if not _asked(self.compiles):
            return ""
        return f"Compiles: {_listed(self.compiles, _COMPILE_SOURCES)}."

    def _layers(self) -> str:
        # A look into KOCACHE alone is not worth a word: a daemon may do it again for a few layers.
        found = self.layers if _asked(self.compiles) or _asked(self.layers) else {}
        moved = self.transfers.layers
        names = {outcome: outcome for outcome in _TRANSFERS}
        size = self.transfers.layer_bytes
        for outcome in ("uploaded", "written"):
            if moved.get(outcome) and size:
                names[outcome] = f"{outcome} ({size_text(size)})"
        parts = (_listed(found, _LAYER_SOURCES), _listed(moved, names))
        text = "; ".join(part for part in parts if part)
        return f"Layers: {text}." if text else ""

    def _end(self) -> str:
        parts = [_count(self.requests, "request")]
        if self.fetched_bytes >= 100_000:
            parts.append(f"{size_text(self.fetched_bytes)} fetched")
        parts.append(f"{self.seconds:.1f} s" if self.seconds < 100 else f"{self.seconds:.0f} s")
        return ", ".join(parts) + "."


def _asked(sources: Mapping[str, int]) -> bool:
    """True if a process was asked for one of them, whether it ran or a cache had its result."""
    return any(sources.get(source) for source in _PROCESS_SOURCES)


def _keyed(counts: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    return {name.replace(" ", "_"): counts.get(name, 0) for name in names}


def _listed(counts: Mapping[str, int], names: Mapping[str, str]) -> str:
    return ", ".join(f"{counts[key]} {name}" for key, name in names.items() if counts.get(key))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
