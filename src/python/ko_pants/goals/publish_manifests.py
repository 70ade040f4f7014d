"""`publish` of manifests: the images that they name are pushed, and then the file is written.

The images are those of `publish_image`: the same requests, so that an image whose own target is in
the run is pushed once. When all is built, the process of the manifests has the tags of their images
moved, and the file written, by this process (`publishing/tagging.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Sequence, cast

from pants.base.build_root import BuildRoot
from pants.core.goals.package import EnvironmentAwarePackageRequest
from pants.core.goals.publish import (
    PublishFieldSet,
    PublishOutputData,
    PublishPackages,
    PublishProcesses,
    PublishRequest,
)
from pants.core.util_rules.distdir import DistDir
from pants.engine.addresses import Addresses
from pants.engine.process import InteractiveProcess
from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from ko_pants.disk.replacement import replace_file
from ko_pants.engine import built_package, image_publications, targets_at
from ko_pants.goals.package_manifests import ENDING, BuiltManifestsArtifact
from ko_pants.goals.publish import PublishGoOciImageFieldSet, PublishGoOciImageRequest
from ko_pants.goals.publish_output import DataOfRun, ImagePublishPackages
from ko_pants.manifest_fields import (
    KubernetesManifestsSelectorField,
    KubernetesManifestsSourcesField,
)
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.products import PublishPlan
from ko_pants.rules.manifest_stream import (
    ManifestsPlan,
    manifests_of,
    manifests_stream,
    plan_manifests,
)
from ko_pants.rules.publish_run import RunOfImages
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import KubernetesManifestsFieldSet


class PublishKubernetesManifestsRequest(PublishRequest):  # type: ignore[type-arg]
    """Manifests are to be written, and their images to be pushed."""


@dataclass(frozen=True)
class PublishKubernetesManifestsFieldSet(PublishFieldSet):  # type: ignore[type-arg]
    """Which targets have manifests. The rest is read from the target as it is."""

    publish_request_type = PublishKubernetesManifestsRequest
    required_fields = (KubernetesManifestsSourcesField, KubernetesManifestsSelectorField)


@dataclass(frozen=True)
class ManifestsPublishPackages(PublishPackages):
    """The file of manifests, with what is published of each of its images."""

    images: tuple[ImagePublishPackages, ...] = field(default=(), compare=False)

    def get_output_data(self, **extra_data: object) -> PublishOutputData:
        """The file, and below `images` what `--publish-output` has for each image."""
        images = [
            {"target": image.built.owner, **image.data_of_image(extra_data, by_another=True)}
            for image in self.images
            if image.built is not None
        ]
        data = {"names": list(self.names), **self.data, "images": images, **extra_data}
        return cast(PublishOutputData, DataOfRun(data))


async def publications_of_images(
    plans: Sequence[PublishPlan],
) -> tuple[ImagePublishPackages, ...]:
    """Publish images but for their tags, with the requests that Pants makes for their targets."""
    targets = await targets_at(Addresses(plan.field_set.address for plan in plans))
    packages = [
        await built_package(EnvironmentAwarePackageRequest(plan.field_set)) for plan in plans
    ]
    field_sets = map(PublishGoOciImageFieldSet.create, targets)
    processes = await image_publications(
        PublishGoOciImageRequest(field_set=field_set, packages=(package,))
        for field_set, package in zip(field_sets, packages)
    )
    return tuple(
        package
        for of_image in processes
        for package in of_image
        if isinstance(package, ImagePublishPackages)
    )


def published_stream(
    plan: ManifestsPlan, published: Sequence[ImagePublishPackages], settings: Settings
) -> bytes:
    """The manifests with the digests of what is published."""
    built = {package.built.owner: package.built for package in published if package.built}
    images = {p.field_set.address: built[str(p.field_set.address)].image for p in plan.plans}
    return manifests_stream(plan.manifests, plan.plans, images, plan.registry, settings)


def _is_outdated(request: PublishKubernetesManifestsRequest, plan: ManifestsPlan) -> bool:
    """True for a request of an earlier run; see `goals.publish`."""
    digests = [
        artifact.content_digest
        for package in request.packages
        for artifact in package.artifacts
        if isinstance(artifact, BuiltManifestsArtifact)
    ]
    return digests != [sha256_digest(plan.content)]


def _has_content(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as f:
            return f.read() == content
    except OSError:
        return False


def _described(images: Sequence[ImagePublishPackages]) -> str:
    """What the line on the terminal says of the images: which were pushed."""
    pushed = [image for image in images if image.number is not None]
    names = ", ".join(name for image in pushed for name in image.names)
    count = len({image.built.owner for image in images if image.built})
    if not count:
        return "it names no image of this repository"
    text = f"it names {count} image{'' if count == 1 else 's'}"
    return f"{text}; pushed {names}" if pushed else f"{text}, all up to date"


@rule(desc="Publish manifests", level=LogLevel.DEBUG)
async def publish_manifests(
    request: PublishKubernetesManifestsRequest,
    run: RunOfImages,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
    dist_dir: DistDir,
) -> PublishProcesses:
    """Do everything but move the tags of the images and write the file.

    :raises KoPantsError: as `package` of the manifests and `publish` of their images.
    """
    (target,) = await targets_at(Addresses([request.field_set.address]))
    field_set = KubernetesManifestsFieldSet.create(target)
    found = await manifests_of(field_set)
    plan = await plan_manifests(found, field_set.registry.value or "", settings, outside)
    if _is_outdated(request, plan):
        return PublishProcesses()
    images = await publications_of_images(plan.plans)
    content = published_stream(plan, images, settings)
    name = str(dist_dir.relpath / field_set.output_path.value_or_default(file_ending=ENDING))
    path = os.path.join(build_root.path, name)
    numbers = [image.number for image in images if image.number is not None]
    described = _described(images)
    process = None
    if numbers or not _has_content(path, content):
        argv = run.publishing.tags.follow(numbers, lambda: replace_file(path, content))
        process = InteractiveProcess(argv, env={"PATH": "/usr/bin:/bin"}, run_in_workspace=True)
    return PublishProcesses(
        [
            ManifestsPublishPackages(
                names=(str(field_set.address),),
                process=process,
                description=f"{name}: {described}"
                if process
                else f"up to date: {name}: {described}",
                images=images,
            )
        ]
    )


def rules() -> list[object]:
    """Publishing, with the field set that tells Pants which targets have manifests."""
    return [*collect_rules(), *PublishKubernetesManifestsFieldSet.rules()]
