"""`tailor`: proposes a `kubernetes_manifests` for YAML files that name images."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pants.core.goals.tailor import (
    AllOwnedSources,
    PutativeTarget,
    PutativeTargets,
    PutativeTargetsRequest,
)
from pants.engine.fs import PathGlobs
from pants.engine.rules import collect_rules, rule
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from ko_pants.engine import digest_contents, digest_of_globs
from ko_pants.errors import KoPantsError
from ko_pants.goals.tailor import is_ignored
from ko_pants.kubernetes.streams import read_file
from ko_pants.manifest_fields import KubernetesManifestsSourcesField
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import KubernetesManifestsTarget

_NAME = "manifests"


@dataclass(frozen=True)
class PutativeManifestsRequest(PutativeTargetsRequest):
    """Which manifests does nobody own in these directories?"""


def _names_images(path: str, content: bytes) -> bool:
    if b"://" not in content:
        return False
    try:
        return bool(read_file(path, content).manifest.references)
    except KoPantsError:
        # Whatever it is, it is no manifest.
        return False


@rule(desc="Find manifests without a target", level=LogLevel.DEBUG)
async def propose_manifests(
    request: PutativeManifestsRequest, ko: KoSubsystem, owned: AllOwnedSources
) -> PutativeTargets:
    """One for each directory, if `[ko].tailor` is set. As with ko, it has all YAML files there."""
    if not ko.tailor:
        return PutativeTargets()
    globs: PathGlobs = request.path_globs(*KubernetesManifestsSourcesField.default)
    contents = await digest_contents(await digest_of_globs(globs))
    found: dict[str, list[str]] = {}
    for file in contents:
        directory, name = posixpath.split(file.path)
        if file.path in owned or is_ignored(directory):
            continue
        if _names_images(file.path, file.content):
            found.setdefault(directory, []).append(name)
    return PutativeTargets(
        PutativeTarget.for_target_type(KubernetesManifestsTarget, directory, _NAME, sorted(names))
        for directory, names in sorted(found.items())
    )


def rules() -> list[object]:
    """The rule, and that it proposes targets."""
    return [*collect_rules(), UnionRule(PutativeTargetsRequest, PutativeManifestsRequest)]
