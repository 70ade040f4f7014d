"""One directory of Go sources, as far as the import graph and the build's inputs go.

An edit of one file re-analyses one directory; an edit of function bodies leaves the result equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Mapping, Sequence

from ko_pants.golang.constraints import BuildContext
from ko_pants.golang.source_file import GoFile, OtherFile, parse_go_file, parse_other_file
from ko_pants.oci.platform import Platform

# What `go build` with CGO_ENABLED=0 reads beside .go files. C, C++, Objective-C, Fortran and SWIG
# files, and assembly for a C compiler (.S), are not among them.
_READABLE = (".s", ".h", ".hh", ".hpp", ".hxx")
_OBJECT = ".syso"

# Go's default profile for `-pgo=auto`, in the directory of the main package.
PROFILE = "default.pgo"

# Names (of a directory's files) that `analyze_directory` wants the content of, and those of which
# the name is enough; as Pants globs.
CONTENT_GLOBS = ("*.go", *("*" + ext for ext in _READABLE))
NAME_GLOBS = ("*" + _OBJECT, PROFILE)


@dataclass(frozen=True)
class GoDirectory:
    """The Go files of one directory and those that may be part of its package.

    :param path: relative to the repo's root; `""` for the root.
    :param other_files: assembly, headers, .syso objects, default.pgo, sorted by name.
    """

    path: str
    files: tuple[GoFile, ...] = ()
    other_files: tuple[OtherFile, ...] = ()

    @property
    def package(self) -> str:
        """The name in the package clause of the first file that is no test and not ignored."""
        names = [
            f.package
            for f in self.files
            if f.package
            and not f.is_documentation
            and not f.name.startswith(("_", "."))
            and not f.name.endswith("_test.go")
        ]
        # A generator that is run by hand (`//go:build ignore`, package main) names no package.
        plain = [f.package for f in self.files if f.constraint is None and f.package in names]
        return (plain or names or [""])[0]


def analyze_directory(
    path: str, files: Mapping[str, bytes], other_names: Sequence[str] = ()
) -> GoDirectory:
    """Analyse one directory.

    :param files: by base name, the content of its files that match `CONTENT_GLOBS`.
    :param other_names: base names of further files; those that no build reads are dropped. A file
        of assembly that stands here rather than in `files` counts as without constraint.
    """
    go_files = []
    others = {}
    for name in sorted(files):
        if name.endswith(".go"):
            go_files.append(parse_go_file(name, files[name]))
        elif name.endswith(_READABLE):
            others[name] = parse_other_file(name, files[name])
    for name in other_names:
        if name not in others and (name.endswith((*_READABLE, _OBJECT)) or name == PROFILE):
            others[name] = OtherFile(name)
    return GoDirectory(path, tuple(go_files), tuple(others[name] for name in sorted(others)))


def main_package_problem(
    directory: GoDirectory,
    platforms: Collection[Platform],
    tags: Collection[str] = (),
    go_minor: int | None = None,
) -> str | None:
    """Why a directory is not a Go program for the platforms; None if it is.

    The text starts with the directory, so that the caller adds the target and the field.
    """
    where = directory.path or "the repo's root"
    candidates = [f for f in directory.files if not f.name.startswith(("_", "."))]
    if not candidates:
        return f"{where} has no Go files; expected a directory with `package main`"
    if all(f.name.endswith("_test.go") for f in candidates):
        return f"{where} has only test files; expected a directory with `package main`"
    wanted = frozenset(tags)
    for platform in platforms:
        context = BuildContext.of([platform], wanted, go_minor)
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
