"""Vendor directories, and when Go builds from them. Source: cmd/go's modload.setDefaultBuildMod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from ko_pants.golang.modfile import language_version
from ko_pants.golang.repo_paths import join

# Without `-mod`, Go builds from a vendor directory from this language version on.
_VENDOR_BY_DEFAULT = (1, 14)


@dataclass(frozen=True)
class VendorModules:
    """What vendor/modules.txt says.

    :param modules: paths of the modules in the directory, sorted.
    :param for_workspace: True if `go work vendor` wrote it, not `go mod vendor`.
    """

    modules: tuple[str, ...]
    for_workspace: bool


@dataclass(frozen=True)
class VendorDirectory:
    """A vendor directory that Go builds from, and the paths of the modules in it."""

    directory: str
    modules: tuple[str, ...]

    @property
    def modules_txt(self) -> str:
        """The path of its modules.txt."""
        return join(self.directory, "modules.txt")


def parse_vendor_modules(content: bytes) -> VendorModules:
    """Read vendor/modules.txt. Malformed lines are skipped: Go reports them."""
    lines = content.decode("utf-8", "replace").splitlines()
    modules = {
        words[1]
        for words in (line.split() for line in lines)
        if len(words) >= 3 and words[0] == "#"
    }
    first = lines[0] if lines else ""
    for_workspace = first.startswith("## ") and "workspace" in [
        annotation.strip() for annotation in first[3:].split(";")
    ]
    return VendorModules(tuple(sorted(modules)), for_workspace)


def find_vendor(
    parent: str, files: Mapping[str, bytes], *, go: str, for_workspace: bool, mod: str
) -> VendorDirectory | None:
    """The vendor directory that Go builds from; None if it uses none.

    :param parent: the directory of go.work, or that of the main module without one.
    :param files: the repo's vendor/modules.txt files, by path.
    :param go: the argument of the `go` directive of go.work, or of go.mod without one.
    :param for_workspace: True with a go.work.
    :param mod: the value of `-mod`; `""` if there is none.
    """
    directory = join(parent, "vendor")
    content = files.get(join(directory, "modules.txt"))
    if content is None or mod not in ("", "vendor"):
        return None
    vendored = parse_vendor_modules(content)
    if not mod:
        # `go work vendor`, since Go 1.22, marks its modules.txt; Go ignores the other kind.
        if vendored.for_workspace != for_workspace:
            return None
        if language_version(go) < _VENDOR_BY_DEFAULT:
            return None
    return VendorDirectory(directory, vendored.modules)
