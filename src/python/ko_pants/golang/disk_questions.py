"""What the go tool finds in the repo, as questions to the disk: packages and modules.

The answers are those of the go tool, also for files that Pants ignores.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Iterator, Mapping

from ko_pants.disk.answers import Question, Reader
from ko_pants.disk.disk import Kind
from ko_pants.errors import KoPantsError
from ko_pants.golang.directory import READABLE_ENDINGS, GoDirectory, analyze_directory
from ko_pants.golang.input_views import NamedFiles, PackageDirectory, View
from ko_pants.golang.module_directories import MODULE_FILES, ModuleFilesSearch
from ko_pants.golang.repo_paths import join
from ko_pants.golang.workspace import ModuleSet, find_module_set

_CONTENT_ENDINGS = (".go", *READABLE_ENDINGS)


@dataclass(frozen=True)
class PackageHeads(Question[GoDirectory]):
    """The analysis of a directory: the heads of its Go files, and those that no build reads too.

    A directory that does not exist has none.
    """

    directory: str

    def answer(self, reader: Reader) -> GoDirectory:
        built = PackageDirectory(self.directory).files(reader.disk, reader.entries)
        names = {path.rpartition("/")[2] for path in built}
        contents = {
            name: reader.read(join(self.directory, name))
            for name in names
            if name.endswith(_CONTENT_ENDINGS)
        }
        contents.update(self._unbuilt(reader))
        return analyze_directory(self.directory, contents, sorted({*names, *contents}))

    def _unbuilt(self, reader: Reader) -> Iterator[tuple[str, bytes]]:
        """Tests, and Go files that Go ignores. One that cannot be read harms no build."""
        for name, kind in reader.entries(self.directory).items():
            ignored = name.startswith(("_", ".")) or name.endswith("_test.go")
            if not (ignored and name.endswith(".go")) or kind not in (Kind.FILE, Kind.LINK):
                continue
            path = join(self.directory, name)
            with contextlib.suppress(KoPantsError):
                if kind is Kind.FILE or reader.disk.kind(reader.disk.resolve(path)) is Kind.FILE:
                    yield name, reader.read(path)


@dataclass(frozen=True)
class ModuleFilesOf(Question[Mapping[str, bytes]]):
    """The module files of a directory, by path."""

    directory: str

    def answer(self, reader: Reader) -> Mapping[str, bytes]:
        entries = reader.entries(self.directory)
        there = (name for name in MODULE_FILES if name.split("/")[0] in entries)
        paths = NamedFiles(tuple(join(self.directory, name) for name in there))
        found = sorted(paths.files(reader.disk, reader.entries))
        return {path: reader.read(path) for path in found}


@dataclass(frozen=True)
class ModulesOf(Question[ModuleSet]):
    """The modules that are built together; see `find_module_set`, also for the errors."""

    directory: str
    mod: str = ""
    use_go_work: bool = True

    def answer(self, reader: Reader) -> ModuleSet:
        search = ModuleFilesSearch(self.directory, use_go_work=self.use_go_work)
        while wanted := search.wanted():
            for directory in wanted:
                search.add([directory], ModuleFilesOf(directory).answer(reader))
        return find_module_set(
            self.directory, search.files, mod=self.mod, use_go_work=self.use_go_work
        )


@dataclass(frozen=True)
class FilesOf(Question["frozenset[str]"]):
    """The paths of the files of a view."""

    view: View

    def answer(self, reader: Reader) -> frozenset[str]:
        return self.view.files(reader.disk, reader.entries)


@dataclass(frozen=True)
class HasEntry(Question[bool]):
    """True if a directory has something of a name."""

    directory: str
    name: str

    def answer(self, reader: Reader) -> bool:
        return self.name in reader.entries(self.directory)
