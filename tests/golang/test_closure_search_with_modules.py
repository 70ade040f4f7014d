"""The closures of all main packages of well-known modules, against what `go list` says of them.

The modules come from the Go module proxy, once, into a directory of the user's cache. Where they
are not there and the proxy cannot be reached, the tests are skipped.

Only the modules themselves are downloaded, not what they require, which would be gigabytes. Go is
given a go.mod without requirements. It calls imports of other modules errors, and lists the files
of the module all the same. So one thing is not compared here: packages that only another
module imports. `tests/golang/test_closure_search_with_go.py` has those.
"""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
from golang.trees import DiskTree, decode_packages, find_go, go_env, listed_files

from ko_pants.golang.build_context import Tristate, evaluate
from ko_pants.oci.platform import Platform

# Each with the number of its main packages that have Go files for one of the platforms; 120 MB.
MODULES = {
    "github.com/caddyserver/caddy/v2@v2.9.1": 1,
    "github.com/containerd/containerd/v2@v2.0.2": 12,
    "github.com/ethereum/go-ethereum@v1.15.2": 11,
    "github.com/gohugoio/hugo@v0.143.1": 4,
    "github.com/google/go-containerregistry@v0.20.3": 4,
    "github.com/hajimehoshi/ebiten/v2@v2.8.6": 87,
    "github.com/prometheus/prometheus@v0.302.1": 3,
    "github.com/tektoncd/pipeline@v0.68.0": 12,
    "github.com/u-root/u-root@v0.14.0": 180,
    "golang.org/x/tools@v0.30.0": 48,
    "google.golang.org/grpc@v1.70.0": 16,
    "k8s.io/kubernetes@v1.32.2": 57,
    "knative.dev/serving@v0.44.0": 36,
}
PLATFORMS = tuple(
    Platform.parse(p) for p in ("linux/amd64", "linux/arm/v7", "windows/amd64", "darwin/arm64")
)
DOWNLOAD_TIMEOUT_SECONDS = 300
# What `go build` with CGO_ENABLED=0 reads of a package.
FILE_FIELDS = ("GoFiles", "SFiles", "HFiles", "SysoFiles", "EmbedFiles")


class ModuleCache:
    """A module cache that outlives the run. It has nothing but the modules of this test."""

    def __init__(self) -> None:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.directory = Path(cache) / "ko_pants" / "modules_of_tests"
        self.directory.mkdir(parents=True, exist_ok=True)
        # Why a module could not be had. The others are not tried then, which takes long where a
        # network swallows what is sent.
        self.failure = ""

    def download(self, go: str, module: str) -> Path:
        """The directory of a module; skips the test where the module cannot be had."""
        found = self._download(go, module, GOPROXY="off")
        if not found and not self.failure:
            proxy = os.environ.get("GOPROXY") or "https://proxy.golang.org"
            # The checksum database is asked too, through the proxy.
            found = self._download(go, module, GOPROXY=proxy, GONOSUMDB="")
        if not found:
            pytest.skip(f"{module} is not in {self.directory}, and the proxy: {self.failure}")
        return Path(found)

    def _download(self, go: str, module: str, **variables: str) -> str:
        env = go_env(PLATFORMS[0], GOMODCACHE=str(self.directory), GOFLAGS="-modcacherw")
        try:
            done = subprocess.run(
                [go, "mod", "download", "-json", module],
                cwd=self.directory,
                env={**env, **variables},
                capture_output=True,
                text=True,
                timeout=DOWNLOAD_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as e:
            self.failure = str(e)
            return ""
        answer = json.loads(done.stdout or "{}")
        if variables["GOPROXY"] != "off":
            self.failure = answer.get("Error") or done.stderr
        return str(answer.get("Dir", ""))


@pytest.fixture(scope="module")
def module_cache() -> ModuleCache:
    return ModuleCache()


def list_packages(go: str, root: Path, go_mod: Path, platform: Platform) -> list[dict[str, Any]]:
    """The packages of a module, and all that they are built from, as far as Go finds it."""
    fields = ",".join(("Dir", "ImportPath", "Name", "Deps", "Standard", *FILE_FIELDS))
    done = subprocess.run(
        [go, "list", "-e", "-deps", f"-modfile={go_mod}", "-mod=mod", f"-json={fields}", "./..."],
        cwd=root,
        env=go_env(platform, GOWORK="off", GOMODCACHE=str(go_mod.parent / "empty")),
        capture_output=True,
        text=True,
    )
    if "requires go >= " in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return decode_packages(done.stdout)


def without_requirements(go_mod: Path, target: Path) -> Path:
    """Write what a go.mod says of its own module."""
    lines = go_mod.read_text().splitlines()
    target.write_text("\n".join(x for x in lines if x.startswith(("module ", "go "))) + "\n")
    return target


@dataclass(frozen=True)
class Listed:
    """A main package, as Go lists it for one platform.

    :param directory: of the package; `""` for the module's root.
    :param sources: the files that it is built from; paths are relative to the module's root.
    :param embedded: the files that it embeds.
    """

    directory: str
    import_path: str
    sources: frozenset[str]
    embedded: frozenset[str]


def listed_mains(packages: list[dict[str, Any]], root: Path) -> Iterator[Listed]:
    """The main packages of the module that have Go files for the platform."""
    own = {p["ImportPath"]: p for p in packages if p.get("Dir") and not p.get("Standard")}
    files = {path: listed_files([package], root) for path, package in own.items()}
    for path, package in own.items():
        if package.get("Name") != "main" or not package.get("GoFiles"):
            continue
        built = [files[p] for p in (path, *package.get("Deps", ())) if p in files]
        directory = os.path.relpath(package["Dir"], root)
        yield Listed(
            "" if directory == "." else directory,
            path,
            frozenset().union(*(sources for sources, _ in built)),
            frozenset().union(*(embedded for _, embedded in built)),
        )


def may_be_built(tree: DiskTree, path: str, platform: Platform, listed: frozenset[str]) -> bool:
    """True if the closure may have a file that Go does not list.

    Either a tag depends on the release of Go, or Go has nothing to build in the directory, which it
    can only report if it sees the files.
    """
    directory, name = posixpath.split(path)
    if directory not in {posixpath.dirname(p) for p in listed if p.endswith(".go")}:
        return True
    analyzed = tree.analyze(directory)
    constraints = {file.name: file.constraint for file in analyzed.files}
    constraints.update((file.name, file.constraint) for file in analyzed.other_files)
    constraint = constraints[name]
    if constraint is None:
        return False
    os_name, architecture = platform.os, platform.architecture
    return evaluate(constraint, os_name, architecture, frozenset()) is Tristate.MAYBE


@pytest.mark.parametrize("module", MODULES)
def test_the_closure_is_what_go_reads(
    module: str, module_cache: ModuleCache, tmp_path: Path
) -> None:
    go = find_go()
    root = module_cache.download(go, module)
    tree = DiskTree(root)
    go_mod = without_requirements(root / "go.mod", tmp_path / "go.mod")
    module_files = {name for name in ("go.mod", "go.sum") if (root / name).exists()}
    mains: set[str] = set()
    closures = files = 0
    for platform in PLATFORMS:
        for main in listed_mains(list_packages(go, root, go_mod, platform), root):
            mains.add(main.directory)
            closures += 1
            files += len(main.sources | main.embedded | module_files)
            # That of an image is for all of its platforms.
            for platforms in ([platform], PLATFORMS):
                closure = tree.closure(main.directory, platforms, mod="mod", use_go_work=False)
                embedded = frozenset().union(*map(tree.embedded, closure.embeds))
                assert closure.import_path == main.import_path
                assert not main.sources - {*closure.files}
                assert not main.embedded - embedded
                assert not module_files - {*closure.files, *closure.optional_files}
                if platforms == [platform]:
                    assert embedded == main.embedded
                    excess = {*closure.files} - main.sources - module_files
                    assert not {
                        f for f in excess if not may_be_built(tree, f, platform, main.sources)
                    }
    print(f"{module}: {len(mains)} main packages, {closures} closures, {files} files")
    assert len(mains) == MODULES[module]
