"""The `go_source` of a go.work depends on the module files of the modules that it uses.

Every program that is built with a go.work reads the module files of all its modules. If each image
depended on each of them, that would be images x modules, which Pants keeps in memory and sorts. So
an image depends on go.work, and that on the module files.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    InferDependenciesRequest,
    InferredDependencies,
    Target,
)
from pants.engine.unions import UnionRule

from ko_pants.disk.answers import ask
from ko_pants.errors import KoPantsError
from ko_pants.golang.disk_questions import ModulesOf
from ko_pants.rules.file_owners import Owners, has_generated_owner, owners_of_files
from ko_pants.rules.inference_context import InferenceContext
from ko_pants.rules.inference_field_sets import TargetFieldSet
from ko_pants.target_types import GoSourceField, GoSourceTarget

_NAME = "go.work"


@dataclass(frozen=True)
class GoWorkInferenceFieldSet(TargetFieldSet):
    """The path of a go.work."""

    target_type = GoSourceTarget

    source: GoSourceField

    @classmethod
    def opt_out(cls, tgt: Target) -> bool:
        return super().opt_out(tgt) or posixpath.basename(tgt[GoSourceField].value) != _NAME


class InferGoWorkDependencies(InferDependenciesRequest[GoWorkInferenceFieldSet]):
    infer_from = GoWorkInferenceFieldSet


@rule
async def infer_go_work_dependencies(
    request: InferGoWorkDependencies, context: InferenceContext
) -> InferredDependencies:
    """The owners of the module files that every build with this go.work reads."""
    source = request.field_set.source
    directory = posixpath.dirname(posixpath.join(source.address.spec_path, source.value))
    try:
        # A vendor directory hides replacements alone, and they are none of its modules.
        found = ask(context.root, ModulesOf(directory, mod="mod"))
    except KoPantsError:
        # The images that are built with it report it.
        return InferredDependencies(())
    files = sorted(found.files_of_go_work)
    return InferredDependencies(await owners_of_files(files, context.owners))


async def depends_on_module_files(go_work: str, owners: Owners) -> bool:
    """True if a target that depends on the module files of a go.work owns it.

    :param go_work: its path.
    """
    return await has_generated_owner(go_work, owners)


def rules() -> list[object]:
    """Inference, announced to the union of Pants that it belongs to."""
    return [*collect_rules(), UnionRule(InferDependenciesRequest, InferGoWorkDependencies)]
