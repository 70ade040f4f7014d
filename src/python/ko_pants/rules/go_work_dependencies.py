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

from ko_pants.disk.answers import ask
from ko_pants.engine import disk_look
from ko_pants.errors import KoPantsError
from ko_pants.golang.disk_questions import ModulesOf
from ko_pants.products import DiskLookRequest
from ko_pants.rules.file_owners import has_generated_owner, owners_of_files
from ko_pants.target_types import GoSourceDependenciesField, GoSourceField

_NAME = "go.work"


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


@rule
async def infer_go_work_dependencies(
    request: InferGoWorkDependencies, build_root: BuildRoot
) -> InferredDependencies:
    """The owners of the module files that every build with this go.work reads."""
    source = request.field_set.source
    directory = posixpath.dirname(posixpath.join(source.address.spec_path, source.value))
    await disk_look(DiskLookRequest())
    try:
        # A vendor directory hides replacements alone, and they are none of its modules.
        found = ask(build_root.path, ModulesOf(directory, mod="mod"))
    except KoPantsError:
        # The images that are built with it report it.
        return InferredDependencies(())
    return InferredDependencies(await owners_of_files(sorted(found.files_of_go_work)))


async def depends_on_module_files(go_work: str) -> bool:
    """True if a target that depends on the module files of a go.work owns it.

    :param go_work: its path.
    """
    return await has_generated_owner(go_work)


def rules() -> list[object]:
    """Inference, announced to the union of Pants that it belongs to."""
    return [*collect_rules(), UnionRule(InferDependenciesRequest, InferGoWorkDependencies)]
