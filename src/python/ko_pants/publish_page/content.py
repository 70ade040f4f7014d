"""What the page shows: plain values, made when a run of `publish` is over."""

from __future__ import annotations

from dataclasses import dataclass

from ko_pants.explanation.changes import Change
from ko_pants.publishing.run_totals import RunTotals

#: The steps of a timeline, in their order.
COMPILE = "compile"
LAYER = "layer"
UPLOAD = "upload"
TAGS = "tags"
STEPS = (COMPILE, LAYER, UPLOAD, TAGS)

#: Where an executable came from if no compile was asked for.
PREBUILT = "prebuilt"
#: The outcome of a layer that the destination lacks still.
LACKING = "lacking"


@dataclass(frozen=True)
class Program:
    """The executable in a layer.

    :param name: of the file in the image.
    :param source: how it came about: a value of `process_log.SOURCES`, or `PREBUILT`.
    :param seconds: that its compile took; None if none ran.
    """

    name: str
    source: str
    seconds: float | None = None


@dataclass(frozen=True)
class Layer:
    """A layer of one platform.

    :param kind: `base`, `files`, `kodata` or `binary`.
    :param size: in bytes; `bytes` were sent or written for it in this run.
    :param outcome: `reused`, `mounted`, `uploaded`, `written` or `LACKING`; empty if the image is
        not pushed.
    :param source: how it came about: a value of `process_log.SOURCES`, or `kocache`; empty for a
        layer of the base.
    :param program: None if it has none.
    :param seconds: that the layer process took; None if none ran.
    """

    kind: str
    digest: str
    size: int
    outcome: str
    bytes: int = 0
    source: str = ""
    program: Program | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Platform:
    """One platform of an image (`os/arch[/variant]`), and its layers in their order."""

    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Artifact:
    """An SBOM, a provenance or a signature that is attached; `platform` is empty for the index."""

    kind: str
    platform: str
    digest: str
    size: int
    outcome: str


@dataclass(frozen=True)
class Span:
    """A step that was done for an image, in seconds since the begin of the run.

    :param step: one of `STEPS`.
    :param what: such as `binary for linux/amd64`; empty for the image as a whole.
    """

    step: str
    what: str
    begin: float
    end: float


@dataclass(frozen=True)
class Image:
    """An image at one destination.

    :param target: the address of its target.
    :param names: every reference.
    :param outcome: one of `run_totals.IMAGE_OUTCOMES`.
    :param base: the reference of the base image; empty for scratch.
    :param requests: HTTP requests that were made for it.
    :param reason: why it failed, or why it is not pushed; empty if neither.
    :param spans: when its steps were done.
    :param changes: since its last publish; None if nobody knows.
    """

    target: str
    names: tuple[str, ...]
    outcome: str
    digest: str
    media_type: str
    base: str
    platforms: tuple[Platform, ...]
    requests: int
    reason: str = ""
    artifacts: tuple[Artifact, ...] = ()
    spans: tuple[Span, ...] = ()
    changes: tuple[Change, ...] | None = None


@dataclass(frozen=True)
class Page:
    """One run.

    :param repository: what the repository is called.
    :param began: in seconds since the epoch.
    :param version: of the plugin.
    """

    repository: str
    began: float
    version: str
    totals: RunTotals
    images: tuple[Image, ...]
