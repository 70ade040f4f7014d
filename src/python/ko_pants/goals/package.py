"""`package`: the documents of an image, without the bytes of its layers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact
from pants.engine.fs import CreateDigest, FileContent
from pants.engine.rules import rule

from ko_pants.engine import built_image, create_digest
from ko_pants.products import BuiltImage
from ko_pants.rules.image_names import destinations_of
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet

#: Ending of the directory that `package` writes below dist/.
ENDING = "image"


@dataclass(frozen=True)
class BuiltImageArtifact(BuiltPackageArtifact):
    """The artifact of one image, with the digest of its index or manifest."""

    image_digest: str = ""


@rule
async def package_image(field_set: GoOciImageFieldSet, settings: Settings) -> BuiltPackage:
    """Write `image.json` (a summary), and index, manifests and configs by digest.

    :raises KoPantsError: something is wrong with the target. A wrong name is found before anything
        is compiled.
    """
    destinations_of(field_set, settings)
    built = await built_image(field_set)
    path = field_set.output_path.value_or_default(file_ending=ENDING)
    image = built.image
    files = {image.descriptor.digest: image.content}
    for manifest in image.manifests:
        files[manifest.descriptor.digest] = manifest.manifest
    files.update(image.configs())
    digest = await create_digest(
        CreateDigest(
            [
                FileContent(os.path.join(path, "image.json"), _summary(built)),
                *(
                    FileContent(
                        os.path.join(path, "blobs", "sha256", digest.partition(":")[2]), content
                    )
                    for digest, content in sorted(files.items())
                ),
            ]
        )
    )
    platforms = ", ".join(str(m.platform) for m in image.manifests)
    return BuiltPackage(
        digest,
        (
            BuiltImageArtifact(
                path,
                (f"Image {image.descriptor.digest} ({platforms})",),
                image_digest=image.descriptor.digest,
            ),
        ),
    )


def _summary(built: BuiltImage) -> bytes:
    image = built.image
    document = {
        "target": built.owner,
        "descriptor": image.descriptor.to_json(),
        "platforms": [
            {
                "platform": str(manifest.platform),
                "manifest": manifest.descriptor.to_json(),
                "config": manifest.config_descriptor.to_json(),
                "layers": [
                    {
                        "kind": layer.kind,
                        "diff_id": layer.diff_id,
                        "descriptor": layer.descriptor.to_json(),
                    }
                    for layer in manifest.layers
                ],
            }
            for manifest in image.manifests
        ],
    }
    return json.dumps(document, indent=2).encode() + b"\n"
