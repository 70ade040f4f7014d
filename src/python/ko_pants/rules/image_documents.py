"""What `package` writes of each image: a summary, and its documents by digest.

It is a step of its own, because nothing of it depends on the names of the image: a new tag finds
the files of the last run.
"""

from __future__ import annotations

from pants.engine.rules import rule

from ko_pants.engine import built_image
from ko_pants.oci.archives import ImageFile
from ko_pants.oci.documents import indented_json
from ko_pants.products import BuiltImage, ImageDocuments, ImageDocumentsRequest
from ko_pants.rules.image_archive import write_image_files

#: Ending of the directory that `package` writes below dist/.
ENDING = "image"


def documents_of(built: BuiltImage) -> list[ImageFile]:
    """`image.json` (a summary), and index, manifests and configs by digest."""
    image = built.image
    files = {image.descriptor.digest: image.content}
    for manifest in image.manifests:
        files[manifest.descriptor.digest] = manifest.manifest
    files.update(image.configs())
    return [
        ImageFile("image.json", _summary(built)),
        *(
            ImageFile(f"blobs/sha256/{digest.partition(':')[2]}", content)
            for digest, content in sorted(files.items())
        ),
    ]


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
    return indented_json(document).encode() + b"\n"


@rule
async def write_image_documents(request: ImageDocumentsRequest) -> ImageDocuments:
    """Build the image, and write its documents."""
    built = await built_image(request.field_set)
    path = request.field_set.output_path.value_or_default(file_ending=ENDING)
    files = await write_image_files(documents_of(built), path)
    image = built.image
    return ImageDocuments(files, image.descriptor.digest, image.platform_names)
