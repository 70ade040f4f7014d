"""`publish`: only what is missing is pushed, and the tags move when all images are there.

The goal asks for each target by itself; one publisher serves all of a run. What is up to date has
no process and shows as skipped, with the reason; what was pushed has a process that moves the tags
(see `publishing.commit_gate`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Mapping, Sequence, cast

from pants.core.goals.publish import (
    PublishFieldSet,
    PublishOutputData,
    PublishPackages,
    PublishProcesses,
    PublishRequest,
    PublishSubsystem,
)
from pants.engine.fs import CreateDigest, FileDigest, FileEntry
from pants.engine.internals.session import RunId
from pants.engine.process import InteractiveProcess, Process, ProcessCacheScope
from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from ko_pants.engine import all_arrived, create_digest, layer_blobs, publish_plan, run_process
from ko_pants.errors import KoPantsError
from ko_pants.goals.package import BuiltImageArtifact
from ko_pants.kocache.maps import CachedLayer
from ko_pants.layers.encodings import compressor_id
from ko_pants.oci.descriptor import Descriptor
from ko_pants.products import (
    ArrivalsRequest,
    BuiltImage,
    LayerBlob,
    LayerBlobRequest,
    Origin,
    PublishPlanRequest,
)
from ko_pants.publishing.publisher import Publication, Publisher, missing_layers
from ko_pants.rules.destinations import NamingFieldSet
from ko_pants.rules.image import compose
from ko_pants.rules.layer import layer_key, open_kocache
from ko_pants.rules.publish_run import PublishRun
from ko_pants.rules.settings import Settings
from ko_pants.target_types import (
    GoOciImageRegistriesField,
    GoOciImageRepositoryField,
    GoOciImageSkipPushField,
    GoOciImageTagsField,
)

logger = logging.getLogger(__name__)

# As `build` in the documented output spells where a process's result came from.
_SOURCES = {
    "ran": "ran",
    "hit_locally": "local cache",
    "hit_remotely": "remote cache",
    "memoized": "memoized",
}


class PublishGoOciImageRequest(PublishRequest):  # type: ignore[type-arg]
    """One image is to be published."""


@dataclass(frozen=True)
class PublishGoOciImageFieldSet(PublishFieldSet):  # type: ignore[type-arg]
    """What naming an image needs of its target."""

    publish_request_type = PublishGoOciImageRequest
    required_fields = (GoOciImageRegistriesField, GoOciImageRepositoryField)

    repository: GoOciImageRepositoryField
    registries: GoOciImageRegistriesField
    tags: GoOciImageTagsField
    skip_push: GoOciImageSkipPushField


@dataclass(frozen=True)
class ImagePublishPackages(PublishPackages):
    """The packages of one image; its output data is read when the image has been published."""

    publication: Publication | None = field(default=None, compare=False)
    built: BuiltImage | None = field(default=None, compare=False)
    # Compared: of two equal packages, the engine hands out those of the earlier run.
    run_id: RunId | None = None

    # Pants encodes the data of every run, and a frozen one level by level: so it is a plain dict,
    # and has its details only where a run id says that somebody reads them.
    def get_output_data(self, **extra_data: object) -> PublishOutputData:
        """The documented contract of `--publish-output`."""
        data: dict[str, object] = {"names": list(self.names), **self.data}
        if self.publication is not None and self.built is not None and self.run_id is not None:
            data.update(_output(self.publication, self.built, self.run_id))
        data.update(extra_data)
        return cast(PublishOutputData, data)


def _naming(field_set: NamingFieldSet) -> tuple[object, ...]:
    """What names an image, as its target spells it."""
    return (
        field_set.repository.value,
        field_set.registries.value,
        field_set.tags.value,
        field_set.skip_push.value,
    )


def _finish_check(publisher: Publisher, publication: Publication) -> None:
    try:
        publisher.finish_check(publication)
    except KoPantsError as e:
        raise KoPantsError(f"{publication.target}: {e}") from None


def _heal(built: BuiltImage, drifted: Mapping[str, LayerBlob], settings: Settings) -> BuiltImage:
    """Correct maps and image where a rebuilt layer is not what the maps said."""
    cache = open_kocache(settings.kocache)
    compressor = compressor_id(settings.encoding, settings.level)
    layers = []
    for layer in built.layers:
        blob = drifted.get(layer.descriptor.digest)
        if blob is None:
            layers.append(layer)
            continue
        cache.record(
            layer_key(layer.request), CachedLayer(blob.diff_id, blob.descriptor, compressor)
        )
        layers.append(
            replace(layer, diff_id=blob.diff_id, descriptor=blob.descriptor, origin=blob.origin)
        )
        logger.info(
            f"{built.owner}: KOCACHE said {layer.descriptor.digest} for a layer of "
            f"{layer.request.platform}, the registry lacks it, and it was rebuilt as "
            f"{blob.descriptor.digest}; map and manifest are corrected"
        )
    fixed = tuple(layers)
    image = compose(built.base, fixed, built.executables, built.labels, settings)
    return replace(built, image=image, layers=fixed)


# Arguments: pairs of a name in the sandbox and where it shall be. Another image may have the same
# layer, and bring it at the same time.
_SPOOL = """\
while [ $# -gt 0 ]; do
  [ -e "$2" ] || ln -L "$1" "$2" 2>/dev/null ||
    { cp -L "$1" "$2.$$" && mv -f "$2.$$" "$2"; } || exit 1
  shift 2
done
"""


async def _spool(owner: str, blobs: Sequence[Descriptor], files: Mapping[str, str]) -> None:
    """Have blobs of the store as files, which an upload streams from: linked, or else copied."""
    names = {blob.digest: blob.digest.partition(":")[2] for blob in blobs}
    digest = await create_digest(
        CreateDigest(FileEntry(names[b.digest], FileDigest(names[b.digest], b.size)) for b in blobs)
    )
    pairs = [word for d, name in names.items() for word in (name, files[d])]
    result = await run_process(
        Process(
            ("/bin/sh", "-c", _SPOOL, "spool", *pairs),
            input_digest=digest,
            env={"PATH": "/usr/bin:/bin"},
            description=f"Fetch {len(names)} layers of {owner}",
            level=LogLevel.DEBUG,
            cache_scope=ProcessCacheScope.PER_SESSION,
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{owner}: its layers cannot be copied for the upload: "
            + result.stderr.decode("utf-8", "replace").strip()
        )


def _package(
    publication: Publication, built: BuiltImage, run: PublishRun, run_id: RunId | None
) -> PublishPackages:
    image, destination = publication.image, publication.destination
    platforms = image.platform_names
    process = None
    if destination.skip:
        description = f"({destination.skip}); built {image.descriptor.digest} ({platforms})"
    elif publication.up_to_date:
        description = f"up to date: {image.descriptor.digest} ({platforms})"
    else:
        process = InteractiveProcess(
            run.enter_gate(publication),
            env={"PATH": "/usr/bin:/bin"},
            run_in_workspace=True,
        )
        place = destination.layout or destination.registry
        description = (
            f"{place} as {image.descriptor.digest} ({platforms}): {_what_lacked(publication)}"
        )
    return ImagePublishPackages(
        names=destination.names,
        process=process,
        description=description,
        publication=publication,
        built=built,
        run_id=run_id,
    )


def _what_lacked(publication: Publication) -> str:
    if publication.present:
        return "it was there, only the tags were not"
    lacking = sum(descriptor.size for descriptor in publication.missing.values())
    return (
        f"{len(publication.missing)} of {len(publication.image.blobs())} blobs were missing "
        f"({lacking / 1e6:.1f} MB)"
    )


def _output(publication: Publication, built: BuiltImage, run_id: RunId) -> dict[str, object]:
    image = publication.image
    layers = []
    for manifest in image.manifests:
        for layer in manifest.layers:
            outcome, size = publication.outcome(layer.descriptor.digest)
            layers.append(
                {
                    "platform": str(manifest.platform),
                    "kind": layer.kind,
                    "digest": layer.descriptor.digest,
                    "diff_id": layer.diff_id,
                    "size": layer.descriptor.size,
                    "outcome": outcome,
                    "bytes": size,
                }
            )
    build = {
        str(executable.platform): {
            "executable": _source(executable.origin, run_id),
            "layer": _source(layer.origin, run_id),
        }
        for executable, layer in zip(built.executables, built.layers[1::2])
    }
    return {
        "publisher": "ko_pants",
        "digest": image.descriptor.digest,
        "media_type": image.descriptor.media_type,
        "platforms": [str(m.platform) for m in image.manifests],
        "requests": publication.store.requests,
        "layers": layers,
        "build": build,
    }


def _source(origin: Origin, run_id: RunId) -> str:
    if origin.metadata is None:
        return "kocache"
    return _SOURCES[origin.metadata.source(run_id).value]


@rule(desc="Publish image", level=LogLevel.DEBUG)
async def publish_image(
    request: PublishGoOciImageRequest,
    run: PublishRun,
    goal: PublishSubsystem,
    settings: Settings,
    run_id: RunId,
) -> PublishProcesses:
    """Check, upload and heal one image; everything but moving its tags.

    :raises KoPantsError: names that clash or cannot be read; a registry that cannot be reached.
    """
    built = next(
        artifact.built
        for package in request.packages
        for artifact in package.artifacts
        if isinstance(artifact, BuiltImageArtifact) and artifact.built is not None
    )
    # With a daemon, the engine begins a run by asking again what it asked in the last one, with the
    # packages of then, until it finds that they are others now. Nothing may come of that.
    plan = await publish_plan(PublishPlanRequest(request.field_set.address))
    if plan.built.image.descriptor != built.image.descriptor or (
        _naming(plan.field_set) != _naming(request.field_set)
    ):
        return PublishProcesses()
    built = plan.built
    publisher = run.publisher
    publications = [
        publisher.publication(built.owner, built.image, built.base, destination)
        for destination in plan.destinations
    ]
    pushed = [p for p in publications if not p.destination.skip]
    for publication in pushed:
        publisher.begin_check(publication)
    if pushed:
        await all_arrived(ArrivalsRequest(run.wave))
    for publication in pushed:
        _finish_check(publisher, publication)

    # Only now, and only for what the destinations lack, does the engine bring bytes.
    blobs: dict[str, LayerBlob] = {}
    wanted = list(dict.fromkeys(d for p in pushed for d in missing_layers(p)))
    if wanted:
        known = {layer.descriptor.digest: layer for layer in built.layers}
        found = await layer_blobs(LayerBlobRequest(known[digest].request) for digest in wanted)
        drifted = {
            digest: blob
            for digest, blob in zip(wanted, found)
            if (digest, known[digest].diff_id) != (blob.descriptor.digest, blob.diff_id)
        }
        if drifted:
            built = _heal(built, drifted, settings)
            for publication in pushed:
                publication.image = built.image
                publisher.begin_check(publication)
            for publication in pushed:
                _finish_check(publisher, publication)
        blobs = {blob.descriptor.digest: blob for blob in found}
    needed = list(dict.fromkeys(d for p in pushed for d in missing_layers(p) if d in blobs))
    files = {digest: publisher.spool_path(digest) for digest in needed}
    if needed:
        await _spool(built.owner, [blobs[digest].descriptor for digest in needed], files)
    moving = [p for p in pushed if not p.up_to_date]
    for publication in moving:
        publisher.begin_upload(publication, files)
    open_kocache(settings.kocache).save_counters()
    reader = run_id if goal.output else None
    return PublishProcesses(_package(p, built, run, reader) for p in publications)


def rules() -> list[object]:
    """The rules of this module."""
    return [*collect_rules(), *PublishGoOciImageFieldSet.rules()]
