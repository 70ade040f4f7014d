"""A monorepo that several machines build, each with nothing but its checkout and a remote cache.

A machine has a checkout at a path of its own, and its own HOME, store, named caches, KOCACHE and
daemon. All of them see one registry and one cache.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Iterator, Mapping

from integration.go_proxy import GoProxy
from integration.workspace import Workspace, go_mod, workspace

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/s390x")
MODULE = "example.com/fleet"
# No other test may use the path: all tests share one module cache, and Go compares sums.
THIRD_PARTY = "example.org/fleet/dep"

_SERVICE = """package main

import "example.com/fleet/shared"

func main() {{
	println("service {number}", shared.Name)
}}
"""
_USER_OF_A_MODULE = """package main

import "example.org/fleet/dep"

func main() {
	println(dep.Name)
}
"""


def write_monorepo(root: Workspace, proxy: GoProxy, services: int, platforms: int) -> None:
    """Write services over a shared package; the first has kodata and a third-party module."""
    proxy.go("mod", "download", f"{THIRD_PARTY}@v1.0.0", cwd=root.root, cache=root.temporary)
    wanted = list(PLATFORMS[:platforms])
    files = {
        "go.mod": go_mod(MODULE, "", f"require {THIRD_PARTY} v1.0.0"),
        "shared/shared.go": 'package shared\n\nconst Name = "shared"\n',
        "svc-000/main.go": _USER_OF_A_MODULE,
        "svc-000/kodata/page.html": "<p>page</p>\n",
        "svc-000/BUILD": f"go_oci_image(platforms={wanted})\n",
    }
    for number in range(1, services):
        files[f"svc-{number:03}/main.go"] = _SERVICE.format(number=number)
        files[f"svc-{number:03}/BUILD"] = f"go_oci_image(platforms={wanted})\n"
    root.write(files)
    proxy.go("mod", "tidy", cwd=root.root, cache=root.temporary)


def third_party_proxy(directory: Path) -> GoProxy:
    """The proxy of the module that the first service uses."""
    proxy = GoProxy(directory)
    proxy.add(THIRD_PARTY, "v1.0.0", {"dep.go": 'package dep\n\nconst Name = "dep"\n'})
    return proxy


def cache_options(address: str, behaviour: str = "defer", more: str = "") -> str:
    """Lines of `[GLOBAL]` for the cache at `HOST:PORT`, as in docs/remote-cache.md."""
    return (
        "remote_cache_read = true\n"
        "remote_cache_write = true\n"
        f'remote_store_address = "grpc://{address}"\n'
        f'cache_content_behavior = "{behaviour}"\n'
        'remote_cache_warnings = "first_only"\n'
        f"{more}"
    )


def other_goroot(directory: Path) -> Path:
    """The installed Go at another path: its commands copied, the rest as links."""
    found = shutil.which("go")
    assert found is not None
    goroot = Path(os.path.realpath(found)).parent.parent
    directory.mkdir(parents=True)
    for entry in goroot.iterdir():
        if entry.name == "bin":
            shutil.copytree(entry, directory / "bin")
        else:
            (directory / entry.name).symlink_to(entry)
    return directory


@contextlib.contextmanager
def machine(
    directory: Path,
    caches: Path,
    *,
    checkout_of: Workspace | None = None,
    env: Mapping[str, str] | None = None,
    options: str = "",
    pants: str = "",
) -> Iterator[Workspace]:
    """A machine whose files are below `directory`, with a copy of another's checkout."""
    caches.mkdir(parents=True, exist_ok=True)
    with workspace(directory / "checkout", caches, env=env) as made:
        if checkout_of is not None:
            shutil.copytree(
                checkout_of.root,
                made.root,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".pids", ".pants.d", "dist", "pants.toml"),
            )
        made.configure(options, pants=pants)
        yield made
