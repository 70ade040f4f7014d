"""`package`: the documents of an image, and its SBOMs and provenance where they are wanted.

The bytes of its layers are written only in formats that want them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Sequence

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact
from pants.engine.fs import Digest, MergeDigests
from pants.engine.rules import rule

from ko_pants.artifacts.formats import CYCLONEDX, PROVENANCE, SPDX
from ko_pants.engine import (
    add_prefix,
    built_image,
    image_artifacts,
    image_blobs,
    image_documents,
    merge_digests,
    packaging,
)
from ko_pants.oci.archives import ImageFile, docker_archive_files, layout_files
from ko_pants.package_fields import DOCKER_ARCHIVE, OCI_ARCHIVE, OCI_LAYOUT
from ko_pants.products import (
    BuiltImage,
    ImageArtifacts,
    ImageArtifactsRequest,
    ImageBlobsRequest,
    ImageDocumentsRequest,
    PackagingRequest,
)
from ko_pants.publishing.destinations import Destination
from ko_pants.rules.artifact_settings import wanted_artifacts
from ko_pants.rules.expected_images import note_destinations
from ko_pants.rules.image_archive import write_archive, write_image_files
from ko_pants.rules.image_documents import ENDING, documents_of
from ko_pants.rules.image_names import destinations_of, image_names, names_need_built
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet

# By kind: the directory below that of the image, and the ending of the file.
_ARTIFACT_FILES = {
    SPDX: ("sbom", "spdx.json"),
    CYCLONEDX: ("sbom", "cdx.json"),
    PROVENANCE: ("provenance", "intoto.json"),
}


@dataclass(frozen=True)
class BuiltImageArtifact(BuiltPackageArtifact):
    """The artifact of one image, with the digest of its index or manifest as it was planned."""

    image_digest: str = ""


def _in_file_name(platform: str) -> str:
    return platform.replace("/", "-").replace(":", "-")


def _artifact_files(artifacts: ImageArtifacts) -> list[ImageFile]:
    """Each document at a path of its own, such as `sbom/linux-amd64.spdx.json`."""
    files = []
    for artifact in artifacts.artifacts:
        directory, ending = _ARTIFACT_FILES[artifact.kind]
        name = _in_file_name(artifact.platform) or "index"
        files.append(ImageFile(f"{directory}/{name}.{ending}", artifact.content))
    return files


def _archives(
    built: BuiltImage, formats: Collection[str], names: tuple[str, ...]
) -> dict[str, tuple[ImageFile, ...]]:
    """The files of each tar, by its name. A docker archive has the image of one platform."""
    archives = {}
    if OCI_ARCHIVE in formats:
        archives["oci.tar"] = layout_files(built.image, names)
    if DOCKER_ARCHIVE in formats:
        manifests = built.image.manifests
        for manifest in manifests:
            platform = _in_file_name(str(manifest.platform))
            name = "docker.tar" if len(manifests) == 1 else f"docker-{platform}.tar"
            archives[name] = docker_archive_files(manifest, names)
    return archives


async def _with_bytes(
    built: BuiltImage, formats: Collection[str], path: str, names: tuple[str, ...]
) -> tuple[BuiltImage, list[Digest]]:
    """The files of the formats, and the image that is in them."""
    built = (await image_blobs(ImageBlobsRequest(built))).built
    digests = []
    if OCI_LAYOUT in formats:
        digests.append(await write_image_files(layout_files(built.image, names), path))
    for name, files in _archives(built, formats, names).items():
        archive = await write_archive(built.owner, name, files)
        digests.append(await add_prefix(archive, path))
    return built, digests


def _local_names(destinations: Sequence[Destination]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for d in destinations for name in d.local_names))


def _package(digest: Digest, path: str, image: str, platforms: str, planned: str) -> BuiltPackage:
    """A package, and what Pants says of it.

    :param image: the digest of the index or manifest.
    :param planned: this as `publish` expects it, which compares it with what it builds itself.
    """
    artifact = BuiltImageArtifact(path, (f"Image {image} ({platforms})",), image_digest=planned)
    return BuiltPackage(digest, (artifact,))


@rule
async def package_image(
    field_set: GoOciImageFieldSet, settings: Settings, outside: GoEnvironment
) -> BuiltPackage:
    """Write the documents of an image, and what its `package_formats` want.

    :raises KoPantsError: something is wrong with the target. A wrong name is found before anything
        is compiled.
    """
    names = await image_names(field_set, outside, settings)
    destinations = destinations_of(names, settings)
    if not names_need_built(names, settings):
        await note_destinations(destinations)
    path = field_set.output_path.value_or_default(file_ending=ENDING)
    formats = {*settings.package_formats, *(field_set.package_formats.value or ())}
    wanted = wanted_artifacts(field_set, settings.artifacts)
    writes_artifacts = bool(wanted) and (await packaging(PackagingRequest())).writes_files
    documents = ImageDocumentsRequest(field_set.without_names())
    if not (formats or writes_artifacts):
        # One question, for each is asked again for each image of a new tag.
        made = await image_documents(documents)
        return _package(
            *(made.digest, path, made.image_digest, made.platforms), planned=made.image_digest
        )
    built = await built_image(field_set)
    planned = built.image.descriptor.digest
    digests: list[Digest] = []
    if formats:
        if names_need_built(names, settings):
            destinations = destinations_of(names, settings, built)
        built, digests = await _with_bytes(built, formats, path, _local_names(destinations))
        # Its layers may have become others.
        files = await write_image_files(documents_of(built), path)
    else:
        files = (await image_documents(documents)).digest
    if writes_artifacts:
        found = await image_artifacts(ImageArtifactsRequest(built, wanted))
        digests.append(await write_image_files(_artifact_files(found), path))
    image = built.image
    digest = await merge_digests(MergeDigests([files, *digests])) if digests else files
    return _package(*(digest, path, image.descriptor.digest, image.platform_names), planned=planned)
