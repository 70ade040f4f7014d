"""`package` of manifests: one file with the digests of the images. Nothing is pushed."""

from __future__ import annotations

from dataclasses import dataclass

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact
from pants.engine.fs import CreateDigest, FileContent
from pants.engine.rules import rule

from ko_pants.engine import create_digest
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.rules.manifest_stream import manifests_of, plan_manifests, warn_of_templates
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import KubernetesManifestsFieldSet

#: Ending of the file that `package` writes below dist/.
ENDING = "yaml"


@dataclass(frozen=True)
class BuiltManifestsArtifact(BuiltPackageArtifact):
    """The artifact of manifests, with the digest of its content as it was planned."""

    content_digest: str = ""


@rule
async def package_manifests(
    field_set: KubernetesManifestsFieldSet, settings: Settings, outside: GoEnvironment
) -> BuiltPackage:
    """Build the images that the manifests name, and write the manifests with their digests.

    :raises KoPantsError: a file is no YAML, a reference names no image, or something is wrong with
        an image.
    """
    found = await manifests_of(field_set)
    warn_of_templates(found)
    plan = await plan_manifests(found, field_set.registry.value or "", settings, outside)
    path = field_set.output_path.value_or_default(file_ending=ENDING)
    digest = await create_digest(CreateDigest([FileContent(path, plan.content)]))
    count = len(plan.plans)
    lines = (f"Manifests with {count} image{'' if count == 1 else 's'} of this repository",)
    artifact = BuiltManifestsArtifact(path, lines, content_digest=sha256_digest(plan.content))
    return BuiltPackage(digest, (artifact,))
