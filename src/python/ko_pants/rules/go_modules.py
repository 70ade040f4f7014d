"""The module files of directories: what the modules are, and where their packages come from."""

from __future__ import annotations

from typing import Iterable

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.disk.disk import Disk
from ko_pants.engine import digest_contents
from ko_pants.golang.module_directories import MODULE_FILES
from ko_pants.golang.repo_paths import join
from ko_pants.products import GoModules, GoModulesRequest
from ko_pants.rules.hidden_digest import check_unchanged
from ko_pants.rules.repo_files import digest_of_files, existing_files


async def _present(directories: Iterable[str], disk: Disk) -> list[str]:
    """The paths of module files that there may be.

    Pants compares each glob with each entry of each directory on the way, so it is asked for one
    file of a directory. It begins anew if the directory changes after that.
    """
    await existing_files([join(directory, "go.mod") for directory in directories])
    found = []
    for directory in directories:
        entries = disk.entries(directory)
        found += [join(directory, name) for name in MODULE_FILES if name.split("/")[0] in entries]
    return found


@rule
async def find_go_modules(request: GoModulesRequest, build_root: BuildRoot) -> GoModules:
    """Read go.mod, go.work and vendor/modules.txt, where they exist."""
    files: dict[str, bytes] = {}
    disk = Disk(build_root.path)
    present = await _present(request.directories, disk)
    if present:
        contents = await digest_contents(await digest_of_files(present))
        files = {file.path: file.content for file in contents}
    for hidden in request.hidden:
        files[hidden.path] = disk.read(hidden.path)
        check_unchanged(hidden, files[hidden.path])
    return GoModules(tuple(sorted(files.items())))
