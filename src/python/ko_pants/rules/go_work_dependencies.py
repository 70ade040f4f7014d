"""The `go_source` of a go.work depends on the module files of the modules that it uses.

Every program that is built with a go.work reads the module files of all its modules. If each image
depended on each of them, that would be images x modules, which Pants keeps in memory and sorts. So
an image depends on go.work, and that on the module files.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pants.base.build_root import BuildRoot
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    FieldSet,
    InferDependenciesRequest,
    InferredDependencies,
    Target,
)
from pants.engine.unions import UnionRule

from ko_pants.engine import go_module_set, hidden_files
from ko_pants.errors import KoPantsError
from ko_pants.golang.input_views import NamedFiles
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.golang.repo_paths import parents
from ko_pants.products import GoModuleSet, GoModuleSetRequest, HiddenFilesRequest
from ko_pants.rules.file_owners import has_generated_owner, owners_of_files
from ko_pants.rules.hidden_files import hidden_in
from ko_pants.target_types import GoSourceDependenciesField, GoSourceField

_NAME = "go.work"
# Each round finds the hidden module files that those of the round before name.
_MAX_ROUNDS = 10


@dataclass(frozen=True)
class GoWorkInferenceFieldSet(FieldSet):
    """The path of a go.work."""

    required_fields = (GoSourceField, GoSourceDependenciesField)

    source: GoSourceField

    @classmethod
    def opt_out(cls, tgt: Target) -> bool:
        return posixpath.basename(tgt[GoSourceField].value) != _NAME


class InferGoWorkDependencies(InferDependenciesRequest[GoWorkInferenceFieldSet]):
    infer_from = GoWorkInferenceFieldSet


async def _module_set(directory: str, root: str) -> GoModuleSet:
    await hidden_files(HiddenFilesRequest())
    above = NamedFiles(tuple(module_file_paths(parents(directory))))
    hidden = await hidden_in(root, [above], looked=True)
    for _ in range(_MAX_ROUNDS):
        # A vendor directory hides replacements alone, and they are none of its modules.
        found = await go_module_set(GoModuleSetRequest(directory, mod="mod", hidden=hidden))
        now = await hidden_in(root, [above, found.view], looked=True)
        if now == hidden:
            break
        hidden = now
    return found


@rule
async def infer_go_work_dependencies(
    request: InferGoWorkDependencies, build_root: BuildRoot
) -> InferredDependencies:
    """The owners of the module files that every build with this go.work reads."""
    source = request.field_set.source
    directory = posixpath.dirname(posixpath.join(source.address.spec_path, source.value))
    try:
        found = await _module_set(directory, build_root.path)
    except KoPantsError:
        # The images that are built with it report it.
        return InferredDependencies(())
    return InferredDependencies(await owners_of_files(sorted(found.modules.files_of_go_work)))


async def depends_on_module_files(go_work: str) -> bool:
    """True if a target that depends on the module files of a go.work owns it.

    :param go_work: its path.
    """
    return await has_generated_owner(go_work)


def rules() -> list[object]:
    """Inference, announced to the union of Pants that it belongs to."""
    return [*collect_rules(), UnionRule(InferDependenciesRequest, InferGoWorkDependencies)]
