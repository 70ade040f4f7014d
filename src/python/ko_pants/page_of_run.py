"""What the page of `[ko].page` shows, read off the products of a run. Imported if it is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Iterator, Mapping

import ko_pants
from ko_pants.explanation.changes import Change
from ko_pants.oci.image import Image as OciImage
from ko_pants.oci.image import ImageLayer, ImageManifest
from ko_pants.process_log import Work
from ko_pants.products import GoExecutable, PlatformImage
from ko_pants.publish_page.content import (
    COMPILE,
    LACKING,
    LAYER,
    PREBUILT,
    TAGS,
    UPLOAD,
    Artifact,
    Image,
    Layer,
    Page,
    Platform,
    Program,
    Span,
)
from ko_pants.publishing.publication import Found, Published
from ko_pants.publishing.run_totals import RunTotals
from ko_pants.publishing.timeline import Timeline
from ko_pants.rules.run_report import ReportedImage

_BASE = "base"


def page_of_run(
    repository: str,
    began: float,
    totals: RunTotals,
    images: Iterable[tuple[ReportedImage, str]],
    work: Work,
    changes: Mapping[str, tuple[Change, ...]],
    timeline: Timeline | None = None,
) -> Page:
    """The page.

    :param repository: what the repository is called.
    :param began: in seconds since the epoch.
    :param images: each with its outcome: one of `run_totals.IMAGE_OUTCOMES`.
    :param work: it names every executable and added layer of the images.
    :param changes: since the last publish, by the address of the target.
    :param timeline: what was done at their destinations; None if that is not known.
    """
    return Page(
        repository,
        began,
        ko_pants.__version__,
        totals,
        tuple(
            replace(
                _image(reported, outcome, work),
                spans=tuple(
                    Span(step, what, begin - began, end - began)
                    for step, what, begin, end in _steps(reported, work, timeline)
                ),
                changes=changes.get(reported.built.owner) if reported.found is not None else None,
            )
            for reported, outcome in images
        ),
    )


def _image(reported: ReportedImage, outcome: str, work: Work) -> Image:
    built, published = reported.built, reported.result()
    image = built.image
    parts = {str(part.platform): part for part in built.platforms}
    return Image(
        target=built.owner,
        names=reported.destination.names,
        outcome=outcome,
        digest=image.descriptor.digest,
        media_type=image.descriptor.media_type,
        base=built.base.name,
        platforms=tuple(
            _platform(manifest, parts[str(manifest.platform)], reported.found, published, work)
            for manifest in image.manifests
        ),
        requests=published.requests,
        reason=published.failure or reported.destination.skip,
        artifacts=_artifacts(published),
    )


def _platform(
    manifest: ImageManifest,
    part: PlatformImage,
    found: Found | None,
    published: Published,
    work: Work,
) -> Platform:
    programs = _programs(part)

    def layer(of_image: ImageLayer) -> Layer:
        digest, executable = of_image.descriptor.digest, programs.get(of_image.diff_id)
        outcome, sent = _outcome(digest, found, published)
        return Layer(
            kind=of_image.kind,
            digest=digest,
            size=of_image.descriptor.size,
            outcome=outcome,
            bytes=sent,
            source="" if of_image.kind == _BASE else work.layers[of_image.diff_id],
            program=None if executable is None else _program(executable, work),
            seconds=_seconds(of_image.diff_id, work),
        )

    return Platform(str(manifest.platform), tuple(map(layer, manifest.layers)))


def _programs(part: PlatformImage) -> Mapping[str, GoExecutable]:
    """diffID -> the executable in that layer. The entrypoint is in the last one."""
    layers = [a.layer for a in part.layers if a.layer.request.content.kind == "binary"]
    entrypoint, *others = part.executables
    return {layer.diff_id: found for layer, found in zip(layers, (*others, entrypoint))}


def _program(executable: GoExecutable, work: Work) -> Program:
    source = work.compiles[executable.file_digest] if executable.compiled else PREBUILT
    return Program(executable.app_name, source, _seconds(executable.file_digest, work))


def _seconds(key: str, work: Work) -> float | None:
    """How long the process of an executable or a layer took; None if none ran."""
    if key not in work.times:
        return None
    begin, end = work.times[key]
    return end - begin


def _outcome(digest: str, found: Found | None, published: Published) -> tuple[str, int]:
    """What was done for a layer, and the bytes of it that were sent or written."""
    if found is None:
        return "", 0
    if digest in found.missing and digest not in published.outcomes:
        return LACKING, 0
    done = published.outcome(digest)
    return done.outcome, done.bytes


def _artifacts(published: Published) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(
            attachment.artifact.kind,
            attachment.artifact.platform,
            attachment.descriptor.digest,
            attachment.descriptor.size,
            done.outcome,
        )
        for attachment, done in published.artifacts.items()
    )


def _steps(
    reported: ReportedImage, work: Work, timeline: Timeline | None
) -> Iterator[tuple[str, str, float, float]]:
    """What was done for an image: step, of what, begin, end. Images that share it have it each."""
    for part in reported.built.platforms:
        name = str(part.platform)
        found = [(COMPILE, f"{e.app_name} for {name}", e.file_digest) for e in part.executables]
        found += [
            (LAYER, f"{a.layer.request.content.kind} for {name}", a.layer.diff_id)
            for a in part.layers
        ]
        for step, what, key in found:
            if key in work.times:
                yield (step, what, *work.times[key])
    if timeline is not None and reported.found is not None:
        names = _blob_names(reported.built.image)
        for digest, begin, end in timeline.of(reported.found.publication):
            yield (UPLOAD, names[digest], begin, end) if digest else (TAGS, "", begin, end)


def _blob_names(image: OciImage) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for manifest in image.manifests:
        for layer in manifest.layers:
            names.setdefault(layer.descriptor.digest, f"{layer.kind} for {manifest.platform}")
        names[manifest.config_descriptor.digest] = f"config for {manifest.platform}"
    return names
