"""What the dependencies of all images of a run depend on, asked once for all of them.

Each question of a rule to the engine costs CPU and memory, and there are thousands of images. So an
image asks for this alone, and for what the targets above its files own.
"""

from __future__ import annotations

from dataclasses import dataclass

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.engine import disk_look, ko_yaml, owner_directories
from ko_pants.products import (
    DiskLook,
    DiskLookRequest,
    KoYaml,
    KoYamlRequest,
    OwnerDirectoriesRequest,
)
from ko_pants.rules.file_owners import Owners
from ko_pants.rules.settings import GoEnvironment, Settings


@dataclass(frozen=True)
class InferenceContext:
    """It is another value after a change of an answer of the disk, so that images ask again.

    :param root: the build root.
    :param look: with it, `disk.answers.ask` may be called.
    :param owners: for `file_owners.owners_of_files`.
    """

    settings: Settings
    outside: GoEnvironment
    root: str
    look: DiskLook
    ko_yaml: KoYaml
    owners: Owners


@rule
async def inference_context(
    settings: Settings, outside: GoEnvironment, build_root: BuildRoot
) -> InferenceContext:
    """Ask for all of it.

    :raises KoPantsError: `.ko.yaml` cannot be read.
    """
    look = await disk_look(DiskLookRequest())
    found = await ko_yaml(KoYamlRequest())
    owners = (await owner_directories(OwnerDirectoriesRequest())).by_directory
    return InferenceContext(settings, outside, build_root.path, look, found, owners)
