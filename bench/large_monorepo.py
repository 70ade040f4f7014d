"""Generates a large monorepo, for what Pants asks of all images and not for builds.

    services/svc-0000 ...  a main package and two packages of its own: six files
    pkg/l0 ... pkg/l3      shared packages of four files in four layers; each imports two of the
                           layer below, and each service two of the top: some 30 packages

With a go.work, each service is a module of its own.
"""

from __future__ import annotations

from typing import Iterator

MODULE = "example.com/large"
_FILES_OF_A_SERVICE = 6
_FILES_OF_A_PACKAGE = 4
_LAYERS = 4

#: A file that a handful of services read.
EDITED = "pkg/l0/p0001/c.go"


def large_sources(
    services: int, files: int, *, go_work: bool, one_target_per: str = "file"
) -> dict[str, str]:
    """The content of every file by path.

    :param files: how many Go files there shall be, at least seven for each service.
    :param one_target_per: the value of the field of `go_sources`.
    """
    per_layer = max(2, (files - _FILES_OF_A_SERVICE * services) // _FILES_OF_A_PACKAGE // _LAYERS)
    found = {
        "BUILD": f"go_sources(name='go', one_target_per={one_target_per!r})\n",
        "go.mod": f"module {MODULE}\n\ngo 1.21\n",
        ".gitignore": "/.pids/\n/.pants.d/\n/dist/\n/pants.toml\n",
    }
    for layer in range(_LAYERS):
        for number in range(per_layer):
            found.update(_package(layer, number, per_layer))
    for number in range(services):
        found.update(_service(number, per_layer, go_work=go_work))
    if go_work:
        uses = "".join(f"\t./services/svc-{number:04}\n" for number in range(services))
        found["go.work"] = f"go 1.21\n\nuse (\n\t.\n{uses})\n"
    return found


def _path(layer: int, number: int, per_layer: int) -> str:
    return f"pkg/l{layer}/p{number % per_layer:04}"


def _package(layer: int, number: int, per_layer: int) -> Iterator[tuple[str, str]]:
    directory = _path(layer, number, per_layer)
    name = directory.rpartition("/")[2]
    below = []
    if layer:
        below = sorted({_path(layer - 1, n, per_layer) for n in (number, number * 7 + 3)})
    imports = "".join(f'import _ "{MODULE}/{path}"\n' for path in below)
    yield f"{directory}/a.go", f'package {name}\n\nimport "fmt"\n{imports}\nvar _ = fmt.Sprint\n'
    yield f"{directory}/b.go", f'package {name}\n\nimport "os"\n\nvar _ = os.Exit\n'
    yield f"{directory}/c.go", f"package {name}\n"
    yield f"{directory}/a_test.go", f'package {name}\n\nimport _ "testing"\n'


def _service(number: int, per_layer: int, *, go_work: bool) -> Iterator[tuple[str, str]]:
    directory = f"services/svc-{number:04}"
    own = f"{MODULE}/{directory}/internal"
    handler, store = (_path(_LAYERS - 1, n, per_layer) for n in (number, number * 13 + 5))
    yield f"{directory}/BUILD", "go_oci_image()\n"
    yield (
        f"{directory}/main.go",
        f'package main\n\nimport _ "{own}/handler"\nimport _ "{own}/store"\n\nfunc main() {{}}\n',
    )
    internal = f"{directory}/internal"
    yield f"{internal}/handler/handler.go", f'package handler\n\nimport _ "{MODULE}/{handler}"\n'
    yield f"{internal}/handler/routes.go", "package handler\n"
    yield f"{internal}/store/store.go", f'package store\n\nimport _ "{MODULE}/{store}"\n'
    yield f"{internal}/store/model.go", "package store\n"
    yield f"{internal}/store/store_test.go", "package store\n"
    if go_work:
        yield f"{directory}/go.mod", f"module {MODULE}/{directory}\n\ngo 1.21\n"
