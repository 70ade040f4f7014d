"""Pants without the plugin: a backend whose targets can be published, and where that does nothing.

What a run of it takes is Pants' own part of a publish of as many images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from bench.tools import Ours, Setting, global_options

_BACKEND = """\
from dataclasses import dataclass

from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.core.goals.publish import (
    PublishFieldSet,
    PublishPackages,
    PublishProcesses,
    PublishRequest,
)
from pants.engine.fs import EMPTY_DIGEST
from pants.engine.rules import collect_rules, rule
from pants.engine.target import COMMON_TARGET_FIELDS, StringField, Target
from pants.engine.unions import UnionRule


class NothingField(StringField):
    alias = "nothing"


class NothingTarget(Target):
    alias = "nothing"
    core_fields = (*COMMON_TARGET_FIELDS, NothingField)


@dataclass(frozen=True)
class NothingToPackage(PackageFieldSet):
    required_fields = (NothingField,)

    nothing: NothingField


class PublishNothing(PublishRequest):
    pass


@dataclass(frozen=True)
class NothingToPublish(PublishFieldSet):
    publish_request_type = PublishNothing
    required_fields = (NothingField,)

    nothing: NothingField


@rule
async def package_nothing(field_set: NothingToPackage) -> BuiltPackage:
    return BuiltPackage(EMPTY_DIGEST, (BuiltPackageArtifact(str(field_set.address)),))


@rule
async def publish_nothing(request: PublishNothing) -> PublishProcesses:
    return PublishProcesses([PublishPackages(names=("nothing",), description="up to date")])


def target_types():
    return [NothingTarget]


def rules():
    union = UnionRule(PackageFieldSet, NothingToPackage)
    return [*collect_rules(), union, *NothingToPublish.rules()]
"""


class PantsAlone(Ours):
    """`pants publish` with the backend that does nothing.

    `backend` is the name of a package in the directory `backend`.
    """

    name = "Pants alone"
    backend = "publishes_nothing"

    def _configure(self) -> None:
        (self.setting.repo / "pants.toml").write_text(
            global_options(self.setting.state / "backend", self.backend, self.state)
            + "\n[anonymous-telemetry]\nenabled = false\n"
        )


def write_backend(place: Path, name: str, source: str) -> Path:
    """A backend as `PantsAlone` finds it, whose setting has its state in `place`.

    :returns: the directory of its package.
    """
    package = place / "backend" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "register.py").write_text(source)
    return package


def pants_alone(setting: Setting, place: Path, directories: Sequence[str]) -> PantsAlone:
    """A repository below `place` with a target in each of the directories, and nothing else.

    :param setting: that of the tool that is compared with.
    """
    repo = place / "repo"
    for directory in directories:
        (repo / directory).mkdir(parents=True)
        (repo / directory / "BUILD").write_text("nothing()\n")
    write_backend(place, PantsAlone.backend, _BACKEND)
    return PantsAlone(Setting(repo, place, setting.registry))
