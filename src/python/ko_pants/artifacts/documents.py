"""The artifacts of an inventory: documents, each with a manifest that refers to the image."""

from __future__ import annotations

from typing import Callable, Iterator

from ko_pants.artifacts import cyclonedx, provenance, spdx
from ko_pants.artifacts.artifact import Artifact, compose_artifact
from ko_pants.artifacts.formats import CYCLONEDX, PROVENANCE, SPDX
from ko_pants.artifacts.inventory import Inventory

# By format: the media type, and what writes the document.
_SBOMS: dict[str, tuple[str, Callable[[Inventory], bytes]]] = {
    SPDX: (spdx.MEDIA_TYPE, spdx.document),
    CYCLONEDX: (cyclonedx.MEDIA_TYPE, cyclonedx.document),
}


def artifacts_of(
    inventory: Inventory,
    *,
    sbom: tuple[str, ...],
    provenance_of: tuple[str, str] | None,
) -> Iterator[Artifact]:
    """The artifacts of one subject.

    :param sbom: formats of `SBOM_FORMATS`.
    :param provenance_of: builder id and invocation id, each empty for none; None for no provenance.
    """
    for name in sbom:
        media_type, document = _SBOMS[name]
        yield compose_artifact(name, inventory.subject, media_type, document(inventory))
    if provenance_of is not None:
        builder_id, invocation_id = provenance_of
        content = provenance.statement(
            inventory, builder_id=builder_id, invocation_id=invocation_id
        )
        yield compose_artifact(PROVENANCE, inventory.subject, provenance.MEDIA_TYPE, content)
