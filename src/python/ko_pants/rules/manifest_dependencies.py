"""What manifests depend on: the images that they name.

So `--changed-since` reaches manifests, and `dependents` of an image says what deploys it. What is
wrong in a manifest is said by `package` and `publish`; here it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    HydrateSourcesRequest,
    InferDependenciesRequest,
    InferredDependencies,
)
from pants.engine.unions import UnionRule

from ko_pants.engine import digest_contents, hydrate_sources
from ko_pants.errors import KoPantsError
from ko_pants.kubernetes.streams import ManifestFile, read_file
from ko_pants.manifest_fields import (
    KubernetesManifestsSelectorField,
    KubernetesManifestsSourcesField,
)
from ko_pants.rules.inference_field_sets import TargetFieldSet
from ko_pants.rules.manifest_images import find_named_images
from ko_pants.rules.manifests import select
from ko_pants.rules.settings import GoEnvironment
from ko_pants.target_types import KubernetesManifestsTarget


@dataclass(frozen=True)
class ManifestsInferenceFieldSet(TargetFieldSet):
    """What the dependencies of manifests come from."""

    target_type = KubernetesManifestsTarget

    sources: KubernetesManifestsSourcesField
    selector: KubernetesManifestsSelectorField


class InferManifestsDependencies(InferDependenciesRequest[ManifestsInferenceFieldSet]):
    infer_from = ManifestsInferenceFieldSet


def _read(path: str, content: bytes, selector: str) -> ManifestFile | None:
    try:
        file = read_file(path, content)
        return select(file, selector)
    except KoPantsError:
        return None


@rule
async def infer_manifests_dependencies(
    request: InferManifestsDependencies, outside: GoEnvironment
) -> InferredDependencies:
    """The images of all references; of one that means several images, all of these."""
    field_set = request.field_set
    sources = await hydrate_sources(HydrateSourcesRequest(field_set.sources))
    contents = await digest_contents(sources.snapshot.digest)
    values: dict[str, None] = {}
    for content in contents:
        file = _read(content.path, content.content, field_set.selector.value or "")
        if file is not None:
            values.update((reference.value, None) for reference in file.manifest.references)
    named = await find_named_images(values, field_set.address, outside.variables, explain=False)
    several = (address for found in named.candidates.values() for address in found)
    return InferredDependencies(sorted({*named.images.values(), *several}))


def rules() -> list[object]:
    """Inference, announced to the union of Pants that it belongs to."""
    return [*collect_rules(), UnionRule(InferDependenciesRequest, InferManifestsDependencies)]
