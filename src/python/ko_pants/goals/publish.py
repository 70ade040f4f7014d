"""`publish`: only what is missing is pushed, and the tags move when all images are there.

The steps of one image, each with a result of its own:

    plan                 what is published, and where to              rules/publish_plan.py
    ask -> found         what the destinations have                   publishing/checking.py
    blobs                the engine brings the bytes that they lack   rules/layer_blob.py
    drift                the bytes are others: correct, ask again     rules/drift.py
    artifacts            what is attached, where the image is new     rules/image_artifacts.py
    upload               blobs, child manifests, artifacts            publishing/uploading.py
    tags                 a process that waits until they have moved   publishing/tagging.py

What is up to date has no process. Pants shows it as skipped, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from pants.core.goals.package import PackageFieldSet
from pants.core.goals.publish import (
    PublishFieldSet,
    PublishPackages,
    PublishProcesses,
    PublishRequest,
)
from pants.engine.process import InteractiveProcess
from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from ko_pants.engine import (
    image_artifacts,
    layer_blobs,
    name_of_newer_pants,
    publish_plan,
    questions_answered,
    upload_shown,
)
from ko_pants.errors import KoPantsError
from ko_pants.goals.package import BuiltImageArtifact
from ko_pants.goals.publish_output import (
    ImagePublishPackages,
    PushedName,
    Reader,
    description_of,
    shown_digest,
)
from ko_pants.goals.publish_skip import skip_request
from ko_pants.products import (
    BuiltImage,
    ImageArtifactsRequest,
    Layer,
    LayerBlob,
    LayerBlobRequest,
    PublishPlan,
    PublishPlanRequest,
    QuestionsAnsweredRequest,
)
from ko_pants.publishing.publication import Found, Publication, Published
from ko_pants.publishing.run import PublishRun
from ko_pants.rules.artifact_settings import ArtifactSettings, wanted_artifacts
from ko_pants.rules.blob_files import write_blob_files
from ko_pants.rules.drift import correct_drift, drifted_layers
from ko_pants.rules.image_names import NamingFieldSet
from ko_pants.rules.layer import open_kocache
from ko_pants.rules.local_loader import image_to_load, local_loader
from ko_pants.rules.publish_run import ImagesToPublish, RunOfImages
from ko_pants.rules.record_keeping import pending_record
from ko_pants.rules.run_report import RunReport
from ko_pants.rules.session_terminal import has_user_interface
from ko_pants.rules.shown_uploads import shown_upload
from ko_pants.target_types import (
    GoOciImageFieldSet,
    GoOciImageRegistriesField,
    GoOciImageRepositoryField,
    GoOciImageSkipPushField,
    GoOciImageTagsField,
)

if TYPE_CHECKING:
    from ko_pants.publishing.attaching import Attaching

# Pants from 2.26 on looks at the processes of all packages before the first one runs. It has this
# name since then.
_LOOKS_AHEAD = name_of_newer_pants("pants.core.goals.publish", "ShowOutput") is not None


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

    def check_skip_request(self, package_fs: PackageFieldSet) -> Any:
        """What newer versions of Pants ask before they build the image; see `publish_skip`."""
        return skip_request(package_fs, self)


def _naming(field_set: NamingFieldSet) -> tuple[object, ...]:
    """What names an image, as its target spells it."""
    return (
        field_set.repository.value,
        field_set.registries.value,
        field_set.tags.value,
        field_set.skip_push.value,
    )


def _is_outdated(request: PublishGoOciImageRequest, plan: PublishPlan) -> bool:
    """True for a request of an earlier run, which this run did not make.

    With a daemon, the engine begins a run with the requests of the run before, to find out whether
    their answers have changed. Nothing of an image that has changed since may be published for
    them: nobody has asked for it in this run. The package of a request therefore carries the digest
    of its image. The image itself comes from the plan alone.
    """
    digests = [
        artifact.image_digest
        for package in request.packages
        for artifact in package.artifacts
        if isinstance(artifact, BuiltImageArtifact)
    ]
    return digests != [plan.built.image.descriptor.digest] or (
        _naming(plan.field_set) != _naming(request.field_set)
    )


async def _ask(
    run: RunOfImages, publications: Sequence[Publication], *, together: bool
) -> list[Found]:
    """What the destinations have; with `together` they are asked with those of other images."""
    checks = run.publishing.checks
    pending = [checks.begin(publication) for publication in publications]
    # `finish` would hold one of the engine's few threads, and so would that of other images.
    while together and not all(check.done for check in pending):
        number = run.wait
        await questions_answered(QuestionsAnsweredRequest(number))
        if run.wait == number:
            # The engine has another run in mind. `finish` does it all.
            break
    try:
        return [checks.finish(check) for check in pending]
    except KoPantsError as e:
        raise KoPantsError(f"{publications[0].target}: {e}") from None


async def _missing_blobs(built: BuiltImage, found: Sequence[Found]) -> dict[Layer, LayerBlob]:
    """Only now, and only for what the destinations lack, does the engine bring bytes."""
    wanted = {digest for f in found for digest in f.missing_layers}
    if not wanted:
        return {}
    layers = [layer for layer in built.layers if layer.descriptor.digest in wanted]
    blobs = await layer_blobs(LayerBlobRequest(layer.request) for layer in layers)
    return dict(zip(layers, blobs))


async def _write_files(
    run: PublishRun,
    built: BuiltImage,
    found: Sequence[Found],
    blobs: Mapping[Layer, LayerBlob],
    store: str,
) -> dict[str, str]:
    """Have the missing layers as files; digest -> path."""
    brought = {blob.descriptor.digest: blob.descriptor for blob in blobs.values()}
    layers = {blob.descriptor: layer.request for layer, blob in blobs.items()}
    missing = dict.fromkeys(d for f in found for d in f.missing_layers if d in brought)
    files = {digest: run.files.path(digest) for digest in missing}
    paths = {brought[digest]: path for digest, path in files.items()}
    await write_blob_files(built.owner, paths, layers, store)
    return files


async def _attachings(
    built: BuiltImage,
    found: Sequence[Found],
    field_set: GoOciImageFieldSet,
    settings: ArtifactSettings,
) -> dict[Publication, Attaching]:
    """What is attached where. An image that is there is left alone, unless the user asks for it."""
    wanted = wanted_artifacts(field_set, settings)
    asked = [f for f in found if wanted and (settings.verify or not f.present)]
    stores = {f: f.publication.store.artifacts for f in asked}
    if not any(stores.values()):
        return {}
    # Only here, for a run that attaches nothing does without these modules.
    from ko_pants.publishing.attaching import Attaching

    artifacts = (await image_artifacts(ImageArtifactsRequest(built, wanted))).artifacts
    out: dict[Publication, Attaching] = {}
    for f, store in stores.items():
        if store is None:
            continue
        attaching = Attaching(f.publication, artifacts, settings.attach_as, store)
        out[f.publication] = attaching
        if f.present:
            try:
                attaching.look()
            except KoPantsError as e:
                raise KoPantsError(f"{f.publication.target}: {e}") from None
    return out


def _look_for_signatures(run: PublishRun, built: BuiltImage, found: Sequence[Found]) -> None:
    """See `PublishRun.look_for_signatures`."""
    try:
        run.look_for_signatures(found)
    except KoPantsError as e:
        raise KoPantsError(f"{built.owner}, its signatures: {e}") from None


def _package(
    run: PublishRun,
    report: RunReport,
    built: BuiltImage,
    publication: Publication,
    found: Found | None,
    files: Mapping[str, str],
    reader: Reader | None,
    attaching: Attaching | None,
    *,
    full_digests: bool,
) -> PublishPackages:
    """Begin the upload, where there is one, and say what happens."""
    process, number = None, None
    requests = publication.store.requests
    artifacts = attaching.done() if attaching is not None else {}

    def result() -> Published:
        return Published({}, requests, artifacts=artifacts)

    lacks = attaching is not None and bool(attaching.lacking)
    unsigned = run.is_unsigned(publication)
    names: tuple[str, ...] = publication.destination.names
    if found is not None and (lacks or unsigned or not found.up_to_date):
        run.check_signer()
        argv, result, number = run.tags.enter(run.uploads.begin(found, files, attaching))
        process = InteractiveProcess(argv, env={"PATH": "/usr/bin:/bin"}, run_in_workspace=True)
        digest = shown_digest(publication.image.descriptor.digest, full=full_digests)
        names = tuple(PushedName(name, digest) for name in names)
    description = description_of(
        *(publication, found, result, attaching), unsigned=unsigned, full_digests=full_digests
    )
    announcements = None
    if number is not None and not _LOOKS_AHEAD:
        announcements = run.tags.announcements
        announcements.add(number, names, description)
    report.note(publication.destination, built, found, result)
    return ImagePublishPackages(
        names=names,
        process=process,
        description=description,
        built=built,
        destination=publication.destination,
        result=result,
        number=number,
        reader=reader,
        announcements=announcements,
    )


@rule(desc="Publish image", level=LogLevel.DEBUG)
async def publish_image(
    request: PublishGoOciImageRequest, images: ImagesToPublish
) -> PublishProcesses:
    """Do everything for one image but move its tags.

    :raises KoPantsError: names that clash or cannot be read; a registry that cannot be reached.
    """
    plan = await publish_plan(PublishPlanRequest(request.field_set.address))
    if _is_outdated(request, plan):
        return PublishProcesses()
    run, settings = images.run, images.settings
    built, publishing, loader = plan.built, run.publishing, None
    local = await local_loader(plan.destinations, settings)
    if local is not None:
        loader, machine = local
        built = image_to_load(built, machine)
    publications = [
        publishing.publication(built.owner, built.image, built.base, destination, loader)
        for destination in plan.destinations
    ]
    pushed = [p for p in publications if not p.destination.skip]
    found = await _ask(run, pushed, together=True)
    blobs = await _missing_blobs(built, found)
    drifted = drifted_layers(blobs)
    if drifted:
        built = correct_drift(built, drifted)
        publications = [replace(p, image=built.image) for p in publications]
        pushed = [p for p in publications if not p.destination.skip]
        found = await _ask(run, pushed, together=False)
    if settings.artifacts.verify:
        _look_for_signatures(publishing, built, found)
    files = await _write_files(publishing, built, found, blobs, images.store)
    attachings = await _attachings(built, found, plan.field_set, settings.artifacts)
    open_kocache(settings.kocache).save_counters()
    record = await pending_record(plan, settings.kocache)
    if record is not None:
        run.report.keep(record)
    reader = None
    if images.has_output or run.references is not None:
        reader = Reader(run.run_id, settings.tag_only, run.references)
    by_publication = {f.publication: f for f in found}
    common = (publishing, run.report, built)
    packages = [
        _package(
            *(*common, p, by_publication.get(p), files, reader, attachings.get(p)),
            full_digests=settings.full_digests,
        )
        for p in publications
    ]
    shown = shown_upload(run, built.owner)
    if shown is not None and has_user_interface():
        await upload_shown(shown)
    return PublishProcesses(packages)


def rules() -> list[object]:
    """Publishing, with the field set that tells Pants which targets can be published."""
    return [*collect_rules(), *PublishGoOciImageFieldSet.rules()]
