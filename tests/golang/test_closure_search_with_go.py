"""The closure against what the go tool itself reads, in the tree and in a copy of the closure."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from golang.trees import (
    PLATFORMS,
    Tree,
    find_go,
    go_env,
    go_minor,
    listed_files,
    read_tree,
    run_go_list,
    write_tree,
)

from ko_pants.golang.closure import missing_imports
from ko_pants.oci.platform import Platform

CONSTRAINTS = {
    "go.mod": "module example.com/app\n\ngo 1.21\n",
    "main.go": 'package main\n\nimport (\n\t"fmt"\n\n\t"example.com/app/os"\n)\n\n'
    "func main() { fmt.Println(os.Name) }\n",
    "main_test.go": 'package main\n\nimport _ "example.com/app/testonly"\n',
    "gen.go": '//go:build ignore\n\npackage main\n\nimport _ "example.com/app/testonly"\n',
    "doc.go": "package documentation\n",
    "testonly/x.go": "package testonly\n",
    "os/name_linux.go": 'package os\n\nconst Name = "linux"\n',
    "os/name_windows.go": 'package os\n\nimport _ "example.com/app/registry"\n\nconst Name = "w"\n',
    "os/name_other.go": '//go:build !linux && !windows\n\npackage os\n\nconst Name = "other"\n',
    "os/old.go": "//go:build go1.20\n// +build go1.20\n\npackage os\n",
    "os/cgo.go": 'package os\n\nimport "C"\nimport _ "example.com/app/testonly"\n',
    "os/cgo.c": "",
    "os/x_arm64.s": '#include "textflag.h"\n',
    "os/x_amd64.S": "",
    "os/x_windows.h": "",
    "os/never.h": "//go:build ignore\n\n",
    "os/x_windows_amd64.syso": "",
    "registry/reg.go": "package registry\n\nfunc F()\n",
    "registry/reg_linux.go": "package registry\n",
    "registry/reg.s": "//go:build windows\n\n",
}

EMBED = {
    "go.mod": "module example.com/app\n\ngo 1.21\n",
    "main.go": 'package main\n\nimport (\n\t"embed"\n\n\t_ "example.com/app/static"\n)\n\n'
    '//go:embed page.html "with space.txt"\n//go:embed all:assets\nvar Files embed.FS\n\n'
    "func main() {}\n",
    "page.html": "",
    "with space.txt": "",
    "unused.html": "",
    "assets/.hidden": "",
    "assets/_draft/x.css": "",
    "assets/app.go": "package assets\n",
    "assets/app_test.go": "package assets\n",
    "static/static.go": 'package static\nimport _ "embed"\n\n//go:embed [a-c]?.txt\nvar S string\n'
    "\n//go:embed tree\nvar B []byte\n",
    "static/aa.txt": "",
    "static/dd.txt": "",
    "static/tree/x/y.txt": "",
    "static/tree/.git/z": "",
    "static/tree/_x/y.txt": "",
    "static/tree/other/go.mod": "module other\n",
    "static/tree/other/z.txt": "",
}

REPLACED = {
    "services/app/go.mod": "module example.com/app\n\ngo 1.21\n\n"
    "require (\n\texample.com/lib v1.0.0\n\texample.com/lib/v2 v2.0.0\n"
    "\texample.com/idle v1.0.0\n)\n\n"
    "replace example.com/lib => ../../lib\n\n"
    "replace example.com/lib/v2 v2.0.0 => ../../lib2\n\n"
    "replace example.com/idle => ../../idle\n",
    "services/app/cmd/app/main.go": 'package main\n\nimport (\n\t_ "example.com/app/internal/x"\n'
    '\t_ "example.com/lib"\n\t_ "example.com/lib/v2/deep/er"\n)\n\nfunc main() {}\n',
    "services/app/internal/x/x.go": "package x\n",
    "services/app/internal/y/y.go": "package y\n",
    "services/app/tools/go.mod": "module example.com/app/tools\n",
    "services/app/tools/t.go": "package tools\n",
    "lib/go.mod": "module example.com/lib\n\ngo 1.21\n\nrequire example.com/lib/v2 v2.0.0\n",
    "lib/lib.go": 'package lib\n\nimport _ "example.com/lib/v2/deep/er"\n',
    "lib/v2/wrong.go": "package wrong\n",
    "lib2/go.mod": "module example.com/lib/v2\n\ngo 1.21\n",
    "lib2/deep/er/er.go": "package er\n",
    "lib2/root.go": "package lib\n",
    "idle/go.mod": "module example.com/idle\n\ngo 1.21\n",
    "idle/idle.go": "package idle\n",
}

WORK = {
    "go.work": "go 1.21\n\nuse (\n\t./app\n\t./lib\n\t./idle\n)\n\n"
    "replace example.com/fork => ./fork\n",
    "app/go.mod": "module example.com/app\n\ngo 1.21\n\nrequire (\n\texample.com/fork v1.0.0\n)\n\n"
    "replace example.com/fork => ../nowhere\n",
    "app/main.go": 'package main\nimport (\n\t_ "example.com/fork/x"\n\t_ "example.com/lib/a"\n)\n'
    "\nfunc main() {}\n",
    "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
    "lib/a/a.go": 'package a\n\nimport _ "example.com/lib/b"\n',
    "lib/b/b.go": "package b\n",
    "lib/c/c.go": "package c\n",
    "idle/go.mod": "module example.com/idle\n\ngo 1.21\n",
    "idle/idle.go": "package idle\n",
    "fork/go.mod": "module example.com/fork\n\ngo 1.21\n",
    "fork/x/x.go": "package x\n",
    "nowhere/go.mod": "module example.com/fork\n\ngo 1.21\n",
    "nowhere/x/x.go": "package wrong\n",
}

VENDORED = {
    "go.mod": "module example.com/app\n\ngo 1.21\n\nrequire (\n\texample.com/x v1.0.0\n"
    "\texample.com/y v1.0.0\n)\n\nreplace example.com/y => ./forks/y\n",
    "main.go": 'package main\n\nimport _ "example.com/x/a"\n\nfunc main() {}\n',
    "vendor/modules.txt": "# example.com/x v1.0.0\n## explicit; go 1.21\nexample.com/x/a\n"
    "example.com/x/b\n# example.com/y v1.0.0 => ./forks/y\n## explicit; go 1.21\nexample.com/y\n"
    "# example.com/y => ./forks/y\n",
    "vendor/example.com/x/a/a.go": 'package a\n\nimport _ "example.com/y"\n',
    "vendor/example.com/x/b/b.go": "package b\n",
    "vendor/example.com/y/y.go": 'package y\nimport _ "embed"\n\n//go:embed LICENSE\nvar L string',
    "vendor/example.com/y/LICENSE": "",
    "forks/y/go.mod": "module example.com/y\n\ngo 1.21\n",
    "forks/y/y.go": "package y\n",
}

VENDORED_WORK = {
    "go.work": "go 1.22\n\nuse ./app\n\nuse ./lib\n",
    "app/go.mod": "module example.com/app\n\ngo 1.22\n\nrequire example.com/x v1.0.0\n",
    "app/main.go": 'package main\n\nimport (\n\t_ "example.com/lib"\n\t_ "example.com/x"\n)\n\n'
    "func main() {}\n",
    "lib/go.mod": "module example.com/lib\n\ngo 1.22\n",
    "lib/lib.go": "package lib\n",
    "lib/unused/u.go": "package unused\n",
    "vendor/modules.txt": "## workspace\n# example.com/x v1.0.0\n## explicit; go 1.21\n"
    "example.com/x\n",
    "vendor/example.com/x/x.go": "package x\n",
    "app/vendor/example.com/x/x.go": "package wrong\n",
}

TREES = {
    "constraints": (CONSTRAINTS, ""),
    "embed": (EMBED, ""),
    "replaced": (REPLACED, "services/app/cmd/app"),
    "workspace": (WORK, "app"),
    "vendored": (VENDORED, ""),
    "vendored workspace": (VENDORED_WORK, "app"),
}


@pytest.mark.parametrize("name", TREES)
def test_the_closure_is_what_go_reads(name: str, tmp_path: Path) -> None:
    go = find_go()
    files, directory = TREES[name]
    if "go 1.22" in files.get("go.work", "") and go_minor(go) < 22:
        pytest.skip("vendored workspaces exist since Go 1.22")
    whole = write_tree(tmp_path / "whole", files)
    tree = Tree(read_tree(whole))
    closure = tree.closure(directory, PLATFORMS)
    closed = {path: content.decode() for path, content in tree.closed(closure).items()}
    copy = write_tree(tmp_path / "closed", closed)
    sources: set[str] = set()
    embedded: set[str] = set()
    for platform in PLATFORMS:
        packages = run_go_list(go, whole, directory, platform)
        assert not [p for p in packages if p.get("Error") and p.get("Standard")]
        assert not [p["Error"] for p in packages if p.get("Error")]
        listed = listed_files(packages, whole)
        sources |= listed[0]
        embedded |= listed[1]
        # In the closure alone Go finds the same.
        assert listed_files(run_go_list(go, copy, directory, platform), copy) == listed
        assert packages[-1]["ImportPath"] == closure.import_path
    module_files = {p for p in closed if p.endswith(("go.mod", "go.work", "modules.txt"))}
    assert {p for p in closed if not closure.is_embedded(p)} - module_files == sources - embedded
    assert {p for p in closed if closure.is_embedded(p)} == embedded


def build(go: str, root: Path, directory: str, **variables: str) -> str:
    """Build a program for one platform; its sha256, or what Go complains of."""
    output = root.parent / f"{root.name}.out"
    done = subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", "-o", str(output), "."],
        cwd=root / directory,
        env=go_env(Platform("linux", "amd64"), **variables),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done.stderr
    return "sha256:" + hashlib.sha256(output.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["replaced", "workspace", "vendored"])
def test_the_closure_alone_builds_the_same_program(name: str, tmp_path: Path) -> None:
    go = find_go()
    files, directory = TREES[name]
    tree = Tree(files)
    whole = write_tree(tmp_path / "whole", files)
    closed = tree.closed(tree.closure(directory))
    copy = write_tree(tmp_path / "closed", {p: c.decode() for p, c in closed.items()})
    assert len(closed) < len(files)
    built = build(go, whole, directory)
    assert built.startswith("sha256:"), built
    assert build(go, copy, directory) == built


def module_proxy(root: Path, path: str, version: str, files: dict[str, str]) -> None:
    """Put a module into a `file://` GOPROXY."""
    directory = root / path / "@v"
    directory.mkdir(parents=True)
    (directory / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
    (directory / f"{version}.mod").write_text(files["go.mod"])
    (directory / "list").write_text(f"{version}\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{path}@{version}/{name}", content)
    (directory / f"{version}.zip").write_bytes(packed.getvalue())


THIRD = "\n\nrequire example.com/third v1.0.0\n\nrequire example.com/fork v1.0.0\n"
FORK = {
    "fork/go.mod": "module example.com/fork\n\ngo 1.21\n",
    "fork/used/by/third/x.go": 'package third\n\nimport _ "example.com/fork/more"\n',
    "fork/more/m.go": "package more\n",
    "fork/unused/u.go": "package unused\n",
}
PROGRAM = 'package main\n\nimport _ "example.com/third"\n\nfunc main() {}\n'
IMPORTERS = {
    "a replacement": (
        {
            **FORK,
            "app/go.mod": "module example.com/app\n\ngo 1.21"
            + THIRD
            + "\nreplace example.com/fork => ../fork\n",
            "app/main.go": PROGRAM,
        },
        "app",
    ),
    "a workspace": (
        {
            **FORK,
            "go.work": "go 1.21\n\nuse ./app\n\nuse ./fork\n",
            "app/go.mod": "module example.com/app\n\ngo 1.21" + THIRD,
            "app/main.go": PROGRAM,
        },
        "app",
    ),
    "the main module": (
        {
            **FORK,
            "fork/go.mod": "module example.com/fork\n\ngo 1.21\n\n"
            "require example.com/third v1.0.0\n",
            "fork/cmd/app/main.go": PROGRAM,
        },
        "fork/cmd/app",
    ),
}


@pytest.mark.parametrize("name", IMPORTERS)
def test_packages_that_only_a_third_party_module_imports(name: str, tmp_path: Path) -> None:
    """Go's error names them; a second search with them gives a build."""
    go = find_go()
    module_proxy(
        tmp_path / "proxy",
        "example.com/third",
        "v1.0.0",
        {
            "go.mod": "module example.com/third\n\ngo 1.21\n\nrequire example.com/fork v1.0.0\n",
            "t.go": 'package third\n\nimport _ "example.com/fork/used/by/third"\n',
        },
    )
    module_proxy(
        tmp_path / "proxy", "example.com/fork", "v1.0.0", {"go.mod": "module example.com/fork\n"}
    )
    files, directory = IMPORTERS[name]
    variables = {
        "GOPROXY": (tmp_path / "proxy").as_uri(),
        "GONOSUMDB": "*",
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(tmp_path / "modcache"),
    }
    whole = write_tree(tmp_path / "whole", files)
    subprocess.run(
        [go, "mod", "download", "all"],
        cwd=whole / directory,
        env=go_env(Platform("linux", "amd64"), **variables),
        check=True,
    )
    tree = Tree(read_tree(whole))
    closure = tree.closure(directory)
    assert closure.third_party == ("example.com/third",)
    first = tree.closed(closure)
    assert not any(path.startswith("fork/used") for path in first)
    copy = write_tree(tmp_path / "first", {p: c.decode() for p, c in first.items()})
    complaint = build(go, copy, directory, **variables)
    missing = missing_imports(complaint, tree.workspace(directory), closure)
    assert missing == ("example.com/fork/used/by/third",), complaint
    second = tree.closed(tree.closure(directory, extra_imports=missing))
    assert "fork/unused/u.go" not in second
    copy = write_tree(tmp_path / "second", {p: c.decode() for p, c in second.items()})
    built = build(go, whole, directory, **variables)
    assert built.startswith("sha256:"), built
    assert build(go, copy, directory, **variables) == built
