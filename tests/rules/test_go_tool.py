"""Main packages of other modules: what a module must say of them."""

from __future__ import annotations

import pytest

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.errors import KoPantsError
from ko_pants.golang.workspace import find_workspace
from ko_pants.products import GoBuild
from ko_pants.rules.go_tool import check_tool

DELVE = "github.com/go-delve/delve"
BUILD = GoBuild("app:image, field `debug`", "app", package=f"{DELVE}/cmd/dlv")
HEAD = b"module example.com/app\n\ngo 1.21\n\n"
REQUIRE = f"require {DELVE} v1.2.3\n".encode()


@pytest.mark.parametrize(
    "files",
    [
        {"app/go.mod": HEAD + REQUIRE},
        {"app/go.mod": HEAD + f"tool {DELVE}/cmd/dlv\n".encode() + REQUIRE},
        # Another module of the go.work has it.
        {
            "go.work": b"go 1.21\n\nuse (\n\t./app\n\t./tools\n)\n",
            "app/go.mod": HEAD,
            "tools/go.mod": b"module example.com/tools\n\ngo 1.21\n\n" + REQUIRE,
        },
    ],
)
def test_a_module_that_requires_it(files: dict[str, bytes]) -> None:
    check_tool(BUILD, find_workspace("app", files))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"app/go.mod": HEAD}, [f"app/go.mod does not require a module with {DELVE}/cmd/dlv"]),
        # Another module with the same beginning.
        (
            {"app/go.mod": HEAD + f"require {DELVE}-fork v1.0.0\n".encode()},
            [f"go get -tool {DELVE}/cmd/dlv@latest", "name a target that yields dlv"],
        ),
        (
            {
                "app/go.mod": HEAD + REQUIRE + f"replace {DELVE} => ../delve\n".encode(),
                "delve/go.mod": f"module {DELVE}\n\ngo 1.21\n".encode(),
            },
            ["is in a module of this repository", "`go_executable`"],
        ),
        (
            {
                "app/go.mod": HEAD + REQUIRE,
                "app/vendor/modules.txt": f"# {DELVE} v1.2.3\n## explicit\n".encode(),
            },
            ["built from app/vendor", "expected a target that yields dlv"],
        ),
    ],
)
def test_where_it_cannot_come_from(files: dict[str, bytes], words: list[str]) -> None:
    with pytest.raises(KoPantsError) as e:
        check_tool(BUILD, find_workspace("app", files))
    for word in ("app:image, field `debug`: ", *words):
        assert word in str(e.value)
