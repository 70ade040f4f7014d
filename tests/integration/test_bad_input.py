"""Bad input gives one clear error, and harms nothing that was there before.

The mistakes of docs/mistakes.md are in test_mistakes.py.
"""

from __future__ import annotations

import dataclasses
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Mapping

import pytest
from integration.bad_runs import assert_no_traceback, files_below
from integration.bases import make_base, write_layout
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry, free_port

MODULE = go_mod("example.com/case")


@dataclass(frozen=True)
class Case:
    """A target, what is wrong with it, and what the one error must say.

    `build` is the BUILD file of directory `case`; `{registry}`, `{closed}` and `{root}` are filled
    in here, in `env` and in `flags`. With `second` the mistake shows when the second image comes:
    blobs of the first one may be there by then, and its tag is not.
    """

    name: str
    says: tuple[str, ...]
    build: str = "go_oci_image(name='image')"
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    target: str = "case:image"
    second: bool = False


def image(**fields: object) -> str:
    """A BUILD file with one image."""
    lines = "".join(f", {name}={value!r}" for name, value in fields.items())
    return f"go_oci_image(name='image'{lines})\n"


def with_files(*targets: str) -> str:
    """A BUILD file with an image of these `oci_files`, called `files0` and so on."""
    lines = [f"oci_files(name='files{n}', {fields})\n" for n, fields in enumerate(targets)]
    return image(files=[f":files{n}" for n in range(len(targets))]) + "".join(lines)


def prebuilt(name: str, **fields: object) -> str:
    """A BUILD file with an image of a file in `prebuilt/`."""
    return image(binary=f"prebuilt:{name}", **fields)


CASES = [
    Case(
        "unknown platform: operating system",
        ("case:image", "`platforms`", "'plan10/amd64'", "plan10", "linux"),
        image(platforms=["linux/amd64", "plan10/amd64"]),
    ),
    Case(
        "unknown platform: architecture",
        ("case:image", "`platforms`", "'linux/z80'", "z80", "amd64"),
        image(platforms=["linux/z80"]),
    ),
    Case(
        "unknown platform: variant",
        ("case:image", "`platforms`", "'linux/arm/v9'", "v9", "v7"),
        image(platforms=["linux/arm/v9"]),
    ),
    Case(
        "malformed platform",
        ("case:image", "`platforms`", "'linux-amd64'", "os/arch"),
        image(platforms=["linux-amd64"]),
    ),
    Case(
        "malformed platform in the environment",
        ("case:image", "default_platforms", "'amd64'", "os/arch"),
        env={"KO_DEFAULTPLATFORMS": "amd64"},
    ),
    Case(
        "no platform for all of scratch",
        ("case:image", "`platforms`", "`all`", "scratch"),
        image(platforms=["all"]),
    ),
    Case(
        "port out of range",
        ("case/BUILD:1: case:image", "`ports`", "'65536'", "from 1 to 65535"),
        image(ports=[8080, 65536]),
    ),
    Case(
        "directory of another system",
        ("case:image", "`workdir`", "'C:/app'", "linux/amd64", "'/data'"),
        image(workdir="C:/app"),
    ),
    Case(
        "user that is no user",
        ("case/BUILD:1: case:image", "`user`", "'no body'", "a user or a user and a group"),
        image(user="no body"),
    ),
    Case(
        "file of an image that does not exist",
        ("case:files0", "`sources`", "no file matches 'none.txt' in case"),
        with_files("sources=['none.txt'], at='/etc'"),
    ),
    Case(
        "two files of a layer at one path",
        ("case:files0", "two files at /etc/b", "case/a (of case:files0)", "case/b"),
        with_files("sources=['a', 'b'], rename={'a': 'b'}, at='/etc'"),
        files={"a": "1", "b": "2"},
    ),
    Case(
        "two layers with one path",
        ("case:image", "`files`", "two layers have /etc/a", "case:files0", "case:files1"),
        with_files("sources=['a'], at='/etc'", "sources=['a'], at='/etc'"),
        files={"a": "1"},
    ),
    Case(
        "place of files that leaves the root",
        ("case:files0", "`at`", "'/../etc'", "absolute path"),
        with_files("sources=['a'], at='/../etc'"),
        files={"a": "1"},
    ),
    Case(
        "name of a file that leaves its place",
        ("case:files0", "`rename`", "'../a'", "relative path"),
        with_files("sources=['a'], rename={'a': '../a'}, at='/etc'"),
        files={"a": "1"},
    ),
    Case(
        "template of a label that fails",
        ("case:image", "`image_labels`", "no variable NOWHERE", "set it"),
        image(image_labels={"version": "{{.Env.NOWHERE}}"}),
    ),
    Case(
        "template of a flag that fails",
        ("case:program", "`ldflags`", "no variable NOWHERE", "set it"),
        "go_executable(name='program', ldflags=['-X=main.v={{.Env.NOWHERE}}'])\n"
        + image(binary=":program"),
    ),
    Case(
        "template that is none of ko's",
        ("case:image", "`image_labels`", "{{.Env.A | lower}}", "{{.Env.NAME}}"),
        image(image_labels={"version": "{{.Env.A | lower}}"}),
    ),
    Case(
        "debug image of a platform without debugger",
        ("case:image", "`debug`", "linux/s390x", "linux/amd64 and linux/arm64"),
        image(debug=True, platforms=["linux/amd64", "linux/s390x"]),
    ),
    Case(
        "platform that the base lacks",
        ("case:image", "`base_image`", "linux/s390x", "linux/amd64, linux/arm64"),
        image(base_image="oci:base", platforms=["linux/amd64", "linux/s390x"]),
    ),
    Case(
        "binary that is no executable",
        ("case:image", "`binary`", "prebuilt/text", "executable"),
        prebuilt("text"),
    ),
    Case(
        "binary of another architecture",
        ("case:image", "`binary`", "prebuilt/arm64", "arm64", "linux/amd64"),
        prebuilt("arm64"),
    ),
    Case(
        "binary of another operating system",
        ("case:image", "`binary`", "prebuilt/windows", "windows", "linux/amd64"),
        prebuilt("windows"),
    ),
    Case(
        "dynamically linked binary on scratch",
        ("case:image", "`binary`", "prebuilt/dynamic", "dynamically", "statically"),
        prebuilt("dynamic"),
    ),
    Case(
        "binary that is a target without a file",
        ("case:image", "`binary`", "prebuilt:nothing", "`target`", "go_executable"),
        prebuilt("nothing"),
    ),
    Case(
        "binary that is several files",
        ("case:image", "`binary`", "'prebuilt:several'", "found 2", "expected one"),
        prebuilt("several"),
    ),
    Case(
        "directory that is not package main",
        ("case:image", "package library", "package main"),
        files={"main.go": "package library\n"},
    ),
    Case(
        "directory without Go files",
        ("case:program", "case/cmd has no Go files", "package main"),
        "go_executable(name='program', main='cmd')\n" + image(binary=":program"),
    ),
    Case(
        "Go compile error",
        ("case:image", "linux/amd64", "main.go:4:", "undefined: missing"),
        files={"main.go": "package main\n\nfunc main() {\n\tmissing()\n}\n"},
    ),
    Case(
        "Go syntax error",
        ("case:image", "main.go:4:1:", "syntax error"),
        files={"main.go": "package main\n\nfunc main() {{{\n"},
    ),
    Case(
        "Go compile error in a shared package",
        ("case:image", "lib/lib.go:3:", "missing"),
        files={
            "main.go": 'package main\n\nimport "example.com/case/lib"\n\nfunc main() { lib.F() }\n',
            "lib/lib.go": "package lib\n\nfunc F() { missing() }\n",
        },
    ),
    Case(
        "malformed go.mod",
        ("case:image", "in case:", "go.mod:3: unknown directive: not"),
        files={"go.mod": "module example.com/case\n\nnot a directive\n"},
    ),
    Case(
        "malformed base image",
        ("case:image", "`base_image`", "127.0.0.1:1/UPPER", "lower-case"),
        image(base_image="127.0.0.1:1/UPPER:tag"),
    ),
    Case(
        "malformed digest of a base image",
        ("case:image", "`base_image`", "sha256:abc", "64 hex digits"),
        image(base_image="127.0.0.1:1/base@sha256:abc"),
    ),
    Case(
        "malformed default base image",
        ("case:image", "default_base_image", "UPPER", "lower-case"),
        flags=("--ko-default-base-image=127.0.0.1:1/UPPER",),
    ),
    Case(
        "malformed repository",
        ("case:image", "`repository`", "spaces in it", "lower-case"),
        image(repository="spaces in it"),
    ),
    Case(
        "unknown placeholder",
        ("case:image", "`repository`", "{nmae}", "{name}"),
        image(repository="shop/{nmae}"),
    ),
    Case(
        "no tag",
        ("case:image", "`image_tags`", "at least one"),
        image(image_tags=[]),
    ),
    Case(
        "malformed registry",
        ("case:image", "`registries`", "not a host"),
        image(registries=["not a host"]),
    ),
    Case(
        "malformed KO_DOCKER_REPO",
        ("KO_DOCKER_REPO", "registry.example.com/Team", "lower-case"),
        env={"KO_DOCKER_REPO": "registry.example.com/Team"},
    ),
    Case(
        "base layout not found",
        ("case:image", "`base_image`", "oci:nowhere", "OCI layout"),
        image(base_image="oci:nowhere"),
    ),
    Case(
        "base not found in its layout",
        ("case:image", "`base_image`", "'other'", "OCI layout"),
        image(base_image="oci:base:other"),
    ),
    Case(
        "registry of the base unreachable",
        ("case:image", "`base_image`", "{closed}"),
        image(base_image="{closed}/base:v1"),
    ),
    Case(
        "KOCACHE is a file",
        ("KOCACHE", "{root}/pants.toml", "not a directory"),
        env={"KOCACHE": "{root}/pants.toml"},
    ),
    Case(
        "two images with one destination",
        ("case:image", "case:other", "oci:dist/oci:same:latest", "`repository`"),
        image(repository="same") + "go_oci_image(name='other', repository='same')\n",
        target="case:",
        second=True,
    ),
    Case(
        "two images with one tag of several",
        ("case:image", "case:other", "{registry}/same:b"),
        "go_oci_image(name='image', repository='same', image_tags=['a', 'b'])\n"
        "go_oci_image(name='other', repository='same', image_tags=['b', 'c'])\n",
        env={"KO_DOCKER_REPO": "{registry}"},
        target="case:",
        second=True,
    ),
    Case(
        "malformed SOURCE_DATE_EPOCH",
        ("SOURCE_DATE_EPOCH", "'yesterday'", "seconds"),
        env={"SOURCE_DATE_EPOCH": "yesterday"},
    ),
    Case(
        "unknown compression",
        ("layer_compression", "'lzma'", "gzip"),
        flags=("--ko-layer-compression=lzma",),
    ),
    Case(
        "flag that would break the build",
        ("case:program", "`flags`", "-o=x", "remove"),
        "go_executable(name='program', flags=['-o=x'])\n" + image(binary=":program"),
    ),
    Case(
        "environment that the plugin sets",
        ("case:program", "`env`", "GOOS", "remove"),
        "go_executable(name='program', env=['GOOS=linux'])\n" + image(binary=":program"),
    ),
    Case(
        "flag that the linker does not have",
        ("case:program", "flag provided but not defined: -foo", "field `ldflags`"),
        "go_executable(name='program', ldflags=['-foo'])\n" + image(binary=":program"),
    ),
    Case(
        "import path in place of a directory",
        ("case:program", "`main`", "'example.com/case'", "import path", "cmd/server"),
        "go_executable(name='program', main='example.com/case')\n" + image(binary=":program"),
    ),
    Case(
        "file in place of the layout",
        ("OCI layout", "expected a directory", "{root}/pants.toml is a file", "layout_path"),
        flags=("--ko-layout-path=pants.toml/oci",),
    ),
    Case(
        "program that runs in the build, in GOFLAGS of the environment",
        ("case:", "GOFLAGS", "[ko].go_env_vars", "'-toolexec=/bin/true'", "remove"),
        env={"GOFLAGS": "-toolexec=/bin/true"},
    ),
    Case(
        "program that runs in the build, in GOFLAGS of a target",
        ("case:program", "`env`", "GOFLAGS", "'-overlay=o.json'", "remove"),
        "go_executable(name='program', env=['GOFLAGS=-overlay=o.json'])\n"
        + image(binary=":program"),
    ),
    Case(
        "profile that does not exist",
        ("case:program", "-pgo", "'cpu.pprof'", "case/cpu.pprof does not exist"),
        "go_executable(name='program', flags=['-pgo=cpu.pprof'])\n" + image(binary=":program"),
    ),
    Case(
        "go.work elsewhere",
        ("case:", "GOWORK is '/elsewhere/go.work'", "there is none", "`off`"),
        env={"GOWORK": "/elsewhere/go.work"},
    ),
    Case(
        "program outside of the repository",
        ("case:program", "`main`", "'../../elsewhere'"),
        "go_executable(name='program', main='../../elsewhere')\n" + image(binary=":program"),
    ),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace in which something good has been published already."""
    workspace = make_workspace()
    workspace.write(
        {
            "good/go.mod": go_mod("example.com/good"),
            "good/main.go": SMALL,
            "good/BUILD": "go_oci_image()\n",
            "prebuilt/BUILD": "\n".join(
                [
                    *(
                        f"file(name={name!r}, source={name!r})"
                        for name in ("text", "arm64", "windows", "dynamic")
                    ),
                    "files(name='several', sources=['text', 'arm64'])",
                    "target(name='nothing')",
                ]
            ),
            "prebuilt/text": "this is no program\n",
        }
    )
    for name, system, arch in (("arm64", "linux", "arm64"), ("windows", "windows", "amd64")):
        go_build(workspace, name, system, arch)
    dynamic = Path("/bin/true")
    workspace.write({"prebuilt/dynamic": dynamic.read_bytes()})
    write_layout(make_base(), workspace.root / "base")
    workspace.publish("good:").ok()
    return workspace


def go_build(workspace: Workspace, name: str, system: str, arch: str) -> None:
    """Compile the good program to `prebuilt/<name>`."""
    subprocess.run(
        ["go", "build", "-trimpath", "-o", str(workspace.root / "prebuilt" / name), "."],
        cwd=workspace.root / "good",
        env={
            **workspace.env,
            "GOOS": system,
            "GOARCH": arch,
            "CGO_ENABLED": "0",
            "GOCACHE": str(workspace.caches / "ko_pants_gocache"),
            "GOTOOLCHAIN": "local",
        },
        check=True,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_clear_error(case: Case, repo: Workspace, registry: RealRegistry) -> None:
    case = _filled(case, repo, registry)
    files = {"go.mod": MODULE, "main.go": SMALL, "BUILD": case.build, **case.files}
    repo.write({f"case/{name}": text for name, text in files.items() if text})
    maps, layout = repo.maps(), files_below(repo.root / "dist" / "oci")

    try:
        run = repo.publish(case.target, env=case.env, flags=case.flags)
    finally:
        repo.remove("case")

    assert run.exit_code != 0, run.output
    (error,) = run.errors
    assert [part for part in case.says if part not in error] == [], run.output
    assert_no_traceback(run)
    # Neither the maps nor the published images have changed.
    after = repo.maps()
    assert {path: after.get(path) for path in maps} == maps
    published = files_below(repo.root / "dist" / "oci")
    assert {path: published.get(path) for path in layout} == layout
    if case.second:
        assert not any(path.endswith("/tags") for path in _repositories(registry))
    else:
        assert published == layout
        assert not any("same" in path or "image" in path for path in _repositories(registry))


def test_afterwards_the_good_image_is_up_to_date(repo: Workspace) -> None:
    run = repo.publish("good:").ok()

    assert run.processes == []
    assert "up to date" in run.images["good:good"]["status"]


def test_good_images_are_not_published_beside_a_bad_one(repo: Workspace) -> None:
    repo.write(
        {
            "pair/go.mod": go_mod("example.com/pair"),
            "pair/a/main.go": SMALL,
            "pair/a/BUILD": "go_oci_image()\n",
            "pair/b/main.go": "package main\n\nfunc main() { missing() }\n",
            "pair/b/BUILD": "go_oci_image()\n",
        }
    )

    try:
        run = repo.publish("pair/::")
    finally:
        repo.remove("pair")

    assert run.exit_code != 0
    assert "pair/b:b" in run.errors[0]
    assert "a:latest" not in (repo.root / "dist" / "oci" / "index.json").read_text()


def test_a_layout_that_cannot_be_written_says_why_in_the_line_of_the_image(
    repo: Workspace,
) -> None:
    repo.write(
        {
            "full/go.mod": go_mod("example.com/full"),
            "full/main.go": SMALL,
            "full/BUILD": "go_oci_image()\n",
            "dist/full/blobs/sha256": "a file",
        }
    )

    try:
        run = repo.publish("full:", flags=["--ko-layout-path=dist/full"])
    finally:
        repo.remove("full", "dist/full")

    assert run.exit_code == 1
    (line,) = [line for line in run.stderr.splitlines() if "full:latest as sha256:" in line]
    assert " failed for dist/full: " in line
    assert "OCI layout" in line
    assert "dist/full/blobs/sha256 is a file" in line
    assert "missing" not in line
    assert "failed" in run.images["full:full"]["status"]
    assert "is a file" in run.images["full:full"]["status"]
    assert_no_traceback(run)


def _filled(case: Case, repo: Workspace, registry: RealRegistry) -> Case:
    values = {
        "{registry}": registry.host,
        "{closed}": f"127.0.0.1:{free_port()}",
        "{root}": str(repo.root),
    }

    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    return dataclasses.replace(
        case,
        says=tuple(map(fill, case.says)),
        build=fill(case.build),
        env={name: fill(value) for name, value in case.env.items()},
        flags=tuple(map(fill, case.flags)),
    )


def _repositories(registry: RealRegistry) -> list[str]:
    root = registry.storage / "docker" / "registry" / "v2" / "repositories"
    return [str(p.relative_to(root)) for p in root.rglob("*")] if root.is_dir() else []
