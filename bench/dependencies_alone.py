"""Pants without the plugin: as many targets, and the same dependencies, read from a list.

What such a backend takes for a question is Pants' own part of the answer.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bench.monorepo import commit_all
from bench.pants_alone import PantsAlone, write_backend
from bench.tools import Ours, Setting

_BACKEND = """\
import json
from dataclasses import dataclass
from pathlib import Path

from pants.engine.addresses import Address
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    Dependencies,
    FieldSet,
    GeneratedTargets,
    GenerateTargetsRequest,
    InferDependenciesRequest,
    InferredDependencies,
    MultipleSourcesField,
    SingleSourceField,
    Target,
    TargetGenerator,
)
from pants.engine.unions import UnionMembership, UnionRule

KNOWN = json.loads(Path(__file__).with_name("known.json").read_text())


def address(text):
    kind, name = text
    if kind == "file":
        return Address("", target_name="go", relative_file_path=name)
    return Address("", target_name="go", generated_name=name)


class FileTarget(Target):
    alias = "go_source"
    core_fields = (*COMMON_TARGET_FIELDS, Dependencies, SingleSourceField)


class PackageTarget(Target):
    alias = "go_package_sources"
    core_fields = (*COMMON_TARGET_FIELDS, Dependencies, MultipleSourcesField)


class Sources(TargetGenerator):
    alias = "go_sources"
    generated_target_cls = FileTarget
    core_fields = COMMON_TARGET_FIELDS
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = ()


class GenerateSources(GenerateTargetsRequest):
    generate_from = Sources


@rule
async def generate(
    request: GenerateSources, union_membership: UnionMembership
) -> GeneratedTargets:
    found = []
    for kind, name, files in KNOWN["sources"]:
        at = address((kind, name))
        if kind == "file":
            fields = {**request.template, "source": name}
            found.append(FileTarget(fields, at, union_membership))
        else:
            fields = {**request.template, "sources": tuple(files)}
            found.append(PackageTarget(fields, at, union_membership))
    return GeneratedTargets(request.generator, found)


class ImageDependencies(Dependencies):
    pass


class Image(Target):
    alias = "go_oci_image"
    core_fields = (*COMMON_TARGET_FIELDS, ImageDependencies)


@dataclass(frozen=True)
class ImageFieldSet(FieldSet):
    required_fields = (ImageDependencies,)


class InferImage(InferDependenciesRequest):
    infer_from = ImageFieldSet


@rule
async def infer(request: InferImage) -> InferredDependencies:
    return InferredDependencies(map(address, KNOWN["images"][request.field_set.address.spec_path]))


def target_types():
    return [FileTarget, PackageTarget, Sources, Image]


def rules():
    return [
        *collect_rules(),
        UnionRule(GenerateTargetsRequest, GenerateSources),
        UnionRule(InferDependenciesRequest, InferImage),
    ]
"""


class DependenciesAlone(PantsAlone):
    """Pants with the backend that reads dependencies from a list."""

    backend = "depends_by_list"


def dependencies_alone(ours: Ours, place: Path) -> DependenciesAlone:
    """A copy of the repository of `ours` below `place`, with the answers of `ours` as the list.

    The targets have the same names and addresses. Only the BUILD file at the root is another one.
    """
    answers = place / "peek.json"
    place.mkdir(parents=True)
    ours.ask(f"--peek-output-file={answers}", "peek", "::")
    package = write_backend(place, DependenciesAlone.backend, _BACKEND)
    (package / "known.json").write_text(json.dumps(_known(json.loads(answers.read_text()))))
    repo = place / "repo"
    ignored = shutil.ignore_patterns(".git", ".pids", ".pants.d", "dist", "pants.toml")
    shutil.copytree(ours.setting.repo, repo, ignore=ignored)
    (repo / "BUILD").write_text("go_sources(name='go')\n")
    commit_all(repo)
    return DependenciesAlone(Setting(repo, place, ours.setting.registry))


def _known(targets: list[dict[str, Any]]) -> dict[str, Any]:
    """What the backend reads, of the output of `peek`."""
    sources = []
    for target in targets:
        if target["target_type"] in ("go_source", "go_package_sources"):
            kind, name = _generated(target["address"])
            sources.append((kind, name, target["sources"]))
    images = {
        target["address"].partition(":")[0]: list(map(_generated, target["dependencies"]))
        for target in targets
        if target["target_type"] == "go_oci_image"
    }
    return {"sources": sources, "images": images}


def _generated(address: str) -> tuple[str, str]:
    """The kind of a target of `//:go`, and its name: a file, or what stands behind `#`."""
    _, is_named, name = address.partition("#")
    return ("named", name) if is_named else ("file", address[2:].rpartition(":")[0])
