"""What one directory of Go sources says about the import graph and the inputs of a build.

After an edit of one file, one directory is analyzed again. After an edit of a function body, the
result is equal to the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Collection, Mapping, Sequence

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.source_file import GoFile, OtherFile, parse_go_file, parse_other_file
from ko_pants.oci.platform import Platform

# What `go build` with CGO_ENABLED=0 reads beside .go files. C, C++, Objective-C, Fortran and SWIG
# files, and assembly for a C compiler (.S), are not among them.
READABLE_ENDINGS = (".s", ".h", ".hh", ".hpp", ".hxx")
_OBJECT_ENDING = ".syso"

# The profile that Go uses by default (`-pgo=auto`), if the main package's directory has it.
DEFAULT_PROFILE = "default.pgo"

# The files that can belong to a package: what their names end with, and whole names.
GO_ENDINGS = (".go", *READABLE_ENDINGS, _OBJECT_ENDING)
GO_NAMES = (DEFAULT_PROFILE, "go.mod")
# The files of a directory whose content `analyze_directory` wants, and those whose name is enough.
CONTENT_GLOBS = ("*.go", *("*" + ext for ext in READABLE_ENDINGS))
NAME_GLOBS = ("*" + _OBJECT_ENDING, *GO_NAMES)


@dataclass(frozen=True)
class GoDirectory:
    """The Go files of one directory and those that may be part of its package.

    :param path: relative to the repo's root; `""` for the root.
    :param files: sorted by name.
    :param other_files: assembly, headers, .syso objects, default.pgo, sorted by name.
    :param has_go_mod: it is the root of a module.
    :param derived: what is known of it for one build context or another, so that it is found out
        once and not for each program. No part of the value.
    """

    path: str
    files: tuple[GoFile, ...] = ()
    other_files: tuple[OtherFile, ...] = ()
    has_go_mod: bool = False
    derived: dict[object, object] = field(default_factory=dict, compare=False, repr=False)


def analyze_directory(
    path: str, files: Mapping[str, bytes], other_names: Sequence[str] = ()
) -> GoDirectory:
    """Analyze one directory.

    :param path: relative to the repo's root; `""` for the root.
    :param files: the content of its files that match `CONTENT_GLOBS`, by base name.
    :param other_names: base names of other files. Those that no build reads are left out.
    """
    go_files = [
        parse_go_file(name, content)
        for name, content in sorted(files.items())
        if name.endswith(".go")
    ]
    others = [
        parse_other_file(name, content)
        for name, content in files.items()
        if name.endswith(READABLE_ENDINGS)
    ]
    others += [
        OtherFile(name)
        for name in other_names
        if name.endswith(_OBJECT_ENDING) or name == DEFAULT_PROFILE
    ]
    return GoDirectory(
        path,
        tuple(go_files),
        tuple(sorted(others, key=lambda file: file.name)),
        has_go_mod="go.mod" in other_names,
    )


def main_package_problem(
    directory: GoDirectory,
    platforms: Collection[Platform],
    tags: Collection[str] = (),
) -> str | None:
    """Why a directory is not a Go program for the platforms; None if it is.

    The text starts with the directory: the caller puts the target and the field before it.

    :param tags: those of `-tags`.
    """
    where = directory.path or "the repo's root"
    candidates = [f for f in directory.files if not f.name.startswith(("_", "."))]
    if not candidates:
        return f"{where} has no Go files; expected a directory with `package main`"
    if all(f.name.endswith("_test.go") for f in candidates):
        return f"{where} has only test files; expected a directory with `package main`"
    wanted = frozenset(tags)
    for platform in platforms:
        context = BuildContext.of([platform], wanted)
        built = [f for f in candidates if context.mask(f)]
        if not built:
            return (
                f"{where} has no Go files for {platform}: build constraints or cgo exclude all of "
                f"{', '.join(f.name for f in candidates)} (CGO_ENABLED=0"
                + (f", tags {','.join(sorted(wanted))}" if wanted else "")
                + ")"
            )
        named = [f for f in built if f.package]
        if named and all(f.package != "main" for f in named):
            return (
                f"{where} is `package {named[0].package}` ({named[0].name}), not a program; "
                "expected a directory with `package main`"
            )
    return None
