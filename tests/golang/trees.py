"""Trees of Go sources on disk, their closure, and what the go tool says of them."""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Collection, Iterable, Mapping, Sequence

import pytest

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.directory import GoDirectory, analyze_directory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.import_graph import ImportGraph
from ko_pants.golang.import_path import import_path_of
from ko_pants.golang.repo_paths import is_within
from ko_pants.golang.toolchain import meets_minimum, parse_version
from ko_pants.golang.workspace import Workspace, find_workspace
from ko_pants.oci.platform import Platform

PLATFORMS = tuple(
    Platform.parse(p) for p in ("linux/amd64", "linux/arm64", "windows/amd64", "darwin/arm64")
)
CONTENT = (".go", ".s", ".h", ".hh", ".hpp", ".hxx")


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files by path relative to `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def read_tree(root: Path) -> dict[str, bytes]:
    """All files below `root` by path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def is_module_file(path: str) -> bool:
    """True for the files that `find_workspace` wants."""
    return posixpath.basename(path) in ("go.mod", "go.work") or path.endswith("vendor/modules.txt")


def run_search(search: ClosureSearch, analyze: Callable[[str], GoDirectory]) -> Closure:
    """Drive a search to its end."""
    wanted = search.start()
    while wanted:
        wanted = search.step({path: analyze(path) for path in wanted})
    return search.finish()


def closure_of(
    workspace: Workspace,
    directory: str,
    platforms: Collection[Platform],
    tags: Collection[str],
    analyze: Callable[[str], GoDirectory],
) -> Closure:
    """The closure of a main package's directory, which a search and the import graph agree on."""
    closure = run_search(ClosureSearch(workspace, directory, platforms, tags), analyze)
    graph = ImportGraph(workspace.module_set, BuildContext.of(platforms, tags), analyze)
    import_path = import_path_of(directory, workspace)
    # Once more with the closure of a package in the middle known, and then with all.
    graph.closure(closure.directories[-1], "")
    for _ in range(2):
        assert graph.closure(directory, import_path) in (None, closure)
    return closure


class Tree:
    """A tree in memory, analyzed as the rules do: module files, then one directory at a time."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self.files = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}

    def workspace(self, directory: str, mod: str = "", use_go_work: bool = True) -> Workspace:
        """The workspace of a main package's directory."""
        module_files = {p: content for p, content in self.files.items() if is_module_file(p)}
        return find_workspace(directory, module_files, mod=mod, use_go_work=use_go_work)

    def analyze(self, directory: str) -> GoDirectory:
        """The analysis of one directory."""
        names = {
            posixpath.basename(path): path
            for path in self.files
            if posixpath.dirname(path) == directory
        }
        contents = {n: self.files[p] for n, p in names.items() if n.endswith(CONTENT)}
        return analyze_directory(directory, contents, [n for n in names if n not in contents])

    def closure(
        self,
        directory: str,
        platforms: Collection[Platform] = PLATFORMS,
        tags: Collection[str] = (),
        extra_imports: Iterable[str] = (),
        mod: str = "",
    ) -> Closure:
        """The closure of a main package's directory."""
        workspace = self.workspace(directory, mod)
        if not extra_imports:
            return closure_of(workspace, directory, platforms, tags, self.analyze)
        search = ClosureSearch(workspace, directory, platforms, tags, extra_imports)
        return run_search(search, self.analyze)

    def closed(self, closure: Closure) -> dict[str, bytes]:
        """The files of the tree that are in the closure."""
        named = {*closure.files, *closure.optional_files}
        return {p: c for p, c in self.files.items() if p in named or closure.is_embedded(p)}


class DiskTree:
    """A tree on disk, without links. Every file is read once at most, and only if it is wanted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Directory -> the names of its files.
        self.names: dict[str, list[str]] = {}
        for directory, _, names in os.walk(root):
            relative = os.path.relpath(directory, root)
            self.names["" if relative == "." else relative] = names
        self._analyzed: dict[str, GoDirectory] = {}
        self._embedded: dict[EmbedFilter, frozenset[str]] = {}
        paths = [posixpath.join(d, name) for d, names in self.names.items() for name in names]
        self._module_files = {p: (root / p).read_bytes() for p in paths if is_module_file(p)}

    def analyze(self, directory: str) -> GoDirectory:
        """The analysis of one directory."""
        if directory not in self._analyzed:
            names = self.names.get(directory, [])
            contents = {
                n: (self.root / directory / n).read_bytes() for n in names if n.endswith(CONTENT)
            }
            self._analyzed[directory] = analyze_directory(directory, contents, names)
        return self._analyzed[directory]

    def closure(
        self,
        directory: str,
        platforms: Collection[Platform],
        mod: str = "",
        use_go_work: bool = True,
    ) -> Closure:
        """The closure of a main package's directory."""
        workspace = find_workspace(directory, self._module_files, mod=mod, use_go_work=use_go_work)
        return closure_of(workspace, directory, platforms, (), self.analyze)

    def embedded(self, embed: EmbedFilter) -> frozenset[str]:
        """The files that a package embeds."""
        if embed not in self._embedded:
            self._embedded[embed] = frozenset(
                path
                for directory, names in self.names.items()
                if is_within(directory, embed.directory)
                for path in (posixpath.join(directory, name) for name in names)
                if embed.matches(path)
            )
        return self._embedded[embed]


def find_go() -> str:
    """The go tool on the search path; skips the test where there is none that is new enough."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no `go` on the search path")
    text = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    version = parse_version(text)
    if version is None or not meets_minimum(version):
        pytest.skip(f"`go` on the search path is too old: {text.strip()}")
    return go


def go_minor(go: str) -> int:
    """N of Go 1.N."""
    text = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    version = parse_version(text)
    assert version is not None
    return version[1]


def go_env(platform: Platform, **variables: str) -> dict[str, str]:
    """An environment for the go tool that reaches no network and that the user's does not sway."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GO") or k == "GOCACHE"}
    return {
        **kept,
        "CGO_ENABLED": "0",
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GONOSUMDB": "*",
        **platform.go_env(),
        **variables,
    }


def run_go_list(
    go: str,
    root: Path,
    directory: str,
    platform: Platform,
    arguments: Sequence[str] = ("-deps",),
    patterns: Sequence[str] = (".",),
    **variables: str,
) -> list[dict[str, Any]]:
    """`go list -e -json`, as one object per package."""
    done = subprocess.run(
        [go, "list", "-e", "-json", *arguments, *patterns],
        cwd=root / directory,
        env=go_env(platform, **variables),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return decode_packages(done.stdout)


def decode_packages(text: str) -> list[dict[str, Any]]:
    """What `go list -json` printed: one object per package, without commas between them."""
    decoder = json.JSONDecoder()
    packages = []
    position = 0
    while position < len(text):
        package, position = decoder.raw_decode(text, position)
        packages.append(package)
        while position < len(text) and text[position].isspace():
            position += 1
    return packages


def listed_files(packages: Iterable[Mapping[str, Any]], root: Path) -> tuple[set[str], set[str]]:
    """(source files, embedded files) of the packages in the tree, relative to its root."""
    sources: set[str] = set()
    embedded: set[str] = set()
    for package in packages:
        directory = os.path.relpath(package.get("Dir", "/"), root)
        if package.get("Standard") or directory.startswith(".."):
            continue
        for key in ("GoFiles", "SFiles", "HFiles", "SysoFiles"):
            sources |= {posixpath.normpath(f"{directory}/{n}") for n in package.get(key) or []}
        embedded |= {
            posixpath.normpath(f"{directory}/{n}") for n in package.get("EmbedFiles") or []
        }
    return sources, embedded
