"""The module files of the repo: what its modules are, and where their packages come from."""

from __future__ import annotations

from pants.engine.rules import rule

from ko_pants.engine import digest_contents
from ko_pants.products import GoModules, GoModulesRequest
from ko_pants.rules.repo_files import digest_of_matches


@rule
async def find_go_modules(request: GoModulesRequest) -> GoModules:
    """Every go.mod, go.work and vendor/modules.txt of the repo."""
    patterns = ("**/go.mod", "**/go.work", "**/vendor/modules.txt")
    contents = await digest_contents(await digest_of_matches({"": patterns}))
    return GoModules(tuple(sorted((file.path, file.content) for file in contents)))
