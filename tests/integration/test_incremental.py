"""After an edit, the images that depend on it are built and no others; Pants' graph agrees."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Callable, Mapping

import pytest
from integration.workspace import SMALL, Workspace, go_mod

IMPORTS = """package main

import "{path}"

func main() {{
	println({name}.Text())
}}
"""

FILES: Mapping[str, str] = {
    "mono/BUILD": "go_sources(name='go')\n",
    "mono/go.mod": go_mod(
        "example.com/mono",
        "",
        "require example.com/lib v0.0.0",
        "",
        "replace example.com/lib => ../lib",
    ),
    "mono/README.md": "Services.\n",
    "mono/leaf/leaf.go": 'package leaf\n\nfunc Text() string { return "leaf" }\n',
    "mono/leaf/leaf_test.go": "package leaf\n",
    "mono/leaf/leaf_windows.go": "package leaf\n",
    "mono/middle/middle.go": "package middle\n\n"
    'import "example.com/mono/leaf"\n\nfunc Text() string { return leaf.Text() }\n',
    "mono/deep/BUILD": "go_oci_image()\n",
    "mono/deep/main.go": IMPORTS.format(path="example.com/mono/middle", name="middle"),
    "mono/flat/BUILD": "go_oci_image()\n",
    "mono/flat/main.go": IMPORTS.format(path="example.com/mono/leaf", name="leaf"),
    "mono/alone/BUILD": "go_oci_image()\n",
    "mono/alone/main.go": SMALL,
    "mono/embeds/BUILD": "go_oci_image()\n",
    "mono/embeds/main.go": 'package main\n\nimport _ "embed"\n\n//go:embed text/*.txt\n'
    "var text string\n\nfunc main() { println(text) }\n",
    "mono/embeds/text/a.txt": "embedded\n",
    "mono/embeds/text/notes.md": "not embedded\n",
    "mono/replaced/BUILD": "go_oci_image()\n",
    "mono/replaced/main.go": IMPORTS.format(path="example.com/lib", name="lib"),
    "mono/data/BUILD": "go_oci_image()\n",
    "mono/data/main.go": SMALL,
    "mono/data/kodata/index.html": "<p>data\n",
    "lib/BUILD": "go_sources(name='go')\n",
    "lib/go.mod": go_mod("example.com/lib"),
    "lib/lib.go": 'package lib\n\nfunc Text() string { return "lib" }\n',
    "lib/unused/unused.go": "package unused\n",
    "work/BUILD": "go_sources(name='go')\n",
    "work/go.work": "go 1.21\n\nuse (\n\t./x\n\t./y\n)\n",
    "work/x/go.mod": go_mod("example.com/x", "", "require example.com/y v0.0.0"),
    "work/x/BUILD": "go_oci_image()\n",
    "work/x/main.go": IMPORTS.format(path="example.com/y", name="y"),
    "work/y/go.mod": go_mod("example.com/y"),
    "work/y/y.go": 'package y\n\nfunc Text() string { return "y" }\n',
}

IMAGES = {
    "mono/deep:deep": "example.com/mono/deep",
    "mono/flat:flat": "example.com/mono/flat",
    "mono/alone:alone": "example.com/mono/alone",
    "mono/embeds:embeds": "example.com/mono/embeds",
    "mono/replaced:replaced": "example.com/mono/replaced",
    "mono/data:data": "example.com/mono/data",
    "work/x:x": "example.com/x",
}


@dataclass(frozen=True)
class Edit:
    """A file whose text is changed, and the images that depend on it; `kodata` is no compile."""

    name: str
    path: str
    old: str
    new: str
    images: tuple[str, ...] = ()
    compiled: bool = True


EDITS = [
    Edit("leaf", "mono/leaf/leaf.go", '"leaf"', '"edited"', ("mono/deep:deep", "mono/flat:flat")),
    Edit(
        "package in the middle",
        "mono/middle/middle.go",
        "return leaf",
        'return "via " + leaf',
        ("mono/deep:deep",),
    ),
    Edit("main package", "mono/alone/main.go", '"small"', '"edited"', ("mono/alone:alone",)),
    Edit("embedded file", "mono/embeds/text/a.txt", "embedded", "edited", ("mono/embeds:embeds",)),
    Edit("replaced module", "lib/lib.go", '"lib"', '"edited"', ("mono/replaced:replaced",)),
    Edit("module of the go.work", "work/y/y.go", '"y"', '"edited"', ("work/x:x",)),
    Edit(
        "kodata",
        "mono/data/kodata/index.html",
        "data",
        "edited",
        ("mono/data:data",),
        compiled=False,
    ),
    Edit("readme", "mono/README.md", "Services", "Edited"),
    Edit("test file", "mono/leaf/leaf_test.go", "leaf", "leaf // edited"),
    Edit("file of another platform", "mono/leaf/leaf_windows.go", "leaf", "leaf // edited"),
    Edit("file beside the embedded", "mono/embeds/text/notes.md", "not", "still not"),
    Edit("package that nobody imports", "lib/unused/unused.go", "unused", "unused // edited"),
]


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    """The services, committed and published."""
    workspace = make_workspace()
    workspace.write(FILES)
    workspace.write({".gitignore": "/dist/\n/.pants.d/\n/.pids/\n"})
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "services"]):
        subprocess.run([*git, *args], cwd=workspace.root, check=True)
    run = workspace.publish("::").ok()
    assert set(run.images) == set(IMAGES)
    return workspace


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_exactly_the_dependents(edit: Edit, repo: Workspace) -> None:
    path = repo.root / edit.path
    before = path.read_text()
    assert edit.old in before
    path.write_text(before.replace(edit.old, edit.new))

    try:
        listed = repo.pants(
            "--changed-since=HEAD",
            "--changed-dependents=transitive",
            "--filter-target-type=go_oci_image",
            "list",
        ).ok()
        run = repo.publish("::").ok()
    finally:
        path.write_text(before)
        repo.publish("::").ok()

    assert sorted(listed.stdout.split()) == sorted(edit.images)
    compiled = [p for p in run.processes if p.startswith("Compile ")]
    wanted = [f"Compile {IMAGES[image]} for linux/amd64" for image in edit.images if edit.compiled]
    assert compiled == sorted(wanted)
    if not edit.images:
        assert run.processes == []
    assert {a for a, entry in run.images.items() if entry["published"]} == set(edit.images)


def test_a_comment_moves_nothing(repo: Workspace) -> None:
    path = repo.root / "mono/leaf/leaf.go"
    before = path.read_text()
    path.write_text(before + "// a comment, from which Go makes the same executables\n")

    try:
        run = repo.publish("::").ok()
    finally:
        path.write_text(before)

    assert run.processes == [
        f"Compile example.com/mono/{name} for linux/amd64" for name in ("deep", "flat")
    ]
    assert {a for a, entry in run.images.items() if entry["published"]} == set()


def test_new_file_of_a_package_is_seen(repo: Workspace) -> None:
    added = repo.root / "mono/leaf/more.go"
    added.write_text("package leaf\n\nfunc init() { println() }\n")

    try:
        run = repo.publish("::").ok()
    finally:
        added.unlink()

    assert {a for a, entry in run.images.items() if entry["published"]} == {
        "mono/deep:deep",
        "mono/flat:flat",
    }


def test_dependencies_lead_to_files(repo: Workspace) -> None:
    direct = repo.pants("dependencies", "mono/deep:deep").ok().stdout.split()

    assert set(direct) == {
        "mono/deep/main.go:../go",
        "mono/go.mod:go",
        "mono/leaf/leaf.go:../go",
        "mono/middle/middle.go:../go",
        # The module's go.mod names the replacement, which Go reads.
        *(d for d in direct if d.startswith("lib/go.mod")),
    }
