"""What a closure says of files, and what Go says is missing from it."""

from __future__ import annotations

import pytest
from golang.trees import Tree

from ko_pants.golang.closure import Closure, missing_imports
from ko_pants.golang.embed import EmbedFilter

FILES = {
    "go.mod": "module example.com/m\ngo 1.21\n",
    "cmd/app/main.go": 'package main\nimport "example.com/m/a"\n',
    "a/a.go": "package a\n",
    "fork~1/b-c/x.go": "package x\n",
}


def test_embedded_files() -> None:
    embeds = (EmbedFilter("a", ("*.txt",)), EmbedFilter("b", ("*.css",)))
    closure = Closure("m", "", (), (), (), embeds, ())
    embedded = {path for path in ("a/x.txt", "b/x.txt", "b/x.css") if closure.is_embedded(path)}
    assert embedded == {"a/x.txt", "b/x.css"}


@pytest.mark.parametrize(
    ("stderr", "missing"),
    [
        # Other errors.
        ('main.go:3:2: undefined: x\n# example.com/m/a\nno "fmt" here.', ()),
        ("", ()),
        ("no package example.com/m/b;", ("example.com/m/b",)),
        ('third.go:3:8: cannot find package "example.com/m/b/c" in:', ("example.com/m/b/c",)),
        ("package example.com/m/fork~1/b-c is not in std.", ("example.com/m/fork~1/b-c",)),
        # A full stop ends a sentence.
        ("It needs example.com/m/X..", ("example.com/m/X",)),
        ("example.com/m/z example.com/m/b example.com/m/z", ("example.com/m/b", "example.com/m/z")),
        ("example.com/mm/b example.com", ()),
        # The module's root package.
        ("no Go files in example.com/m", ("example.com/m",)),
    ],
)
def test_missing_imports(stderr: str, missing: tuple[str, ...]) -> None:
    tree = Tree(FILES)
    closure = tree.closure("cmd/app")
    assert missing_imports(stderr, tree.workspace("cmd/app"), closure) == missing


def test_a_package_that_one_of_two_modules_may_have_is_missing() -> None:
    """Go reports an ambiguous import only if it sees both."""
    tree = Tree(
        {
            "go.work": "go 1.22\nuse ./a\nuse ./b\n",
            "a/go.mod": "module m\n",
            "a/main.go": "package main\n",
            "b/go.mod": "module m/x\n",
        }
    )
    closure = Closure("m", "a", ("a", "a/x/y"), (), (), (), ())
    assert missing_imports("m/x/y", tree.workspace("a"), closure) == ("m/x/y",)
    assert missing_imports("m", tree.workspace("a"), closure) == ()
