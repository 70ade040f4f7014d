"""The module files of directories: what the modules are, and where their packages come from."""

from __future__ import annotations

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.disk.disk import Disk
from ko_pants.engine import digest_contents
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.products import GoModules, GoModulesRequest
from ko_pants.rules.hidden_digest import check_unchanged
from ko_pants.rules.repo_files import digest_of_files


@rule
async def find_go_modules(request: GoModulesRequest, build_root: BuildRoot) -> GoModules:
    """Read go.mod, go.work and vendor/modules.txt, where they exist."""
    contents = await digest_contents(await digest_of_files(module_file_paths(request.directories)))
    files = {file.path: file.content for file in contents}
    disk = Disk(build_root.path)
    for hidden in request.hidden:
        files[hidden.path] = disk.read(hidden.path)
        check_unchanged(hidden, files[hidden.path])
    return GoModules(tuple(sorted(files.items())))
