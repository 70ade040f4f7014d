"""Modules: from a proxy that the test makes, vendored, and several in one repository."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from integration.go_proxy import GoProxy
from integration.published import published_in
from integration.workspace import SMALL, Run, Workspace, go_mod


def program(*imports: str) -> str:
    """A program that prints `Text()` of each package."""
    lines = "".join(f'import "{path}"\n' for path in imports)
    calls = "".join(f"\tprintln({path.rpartition('/')[2]}.Text())\n" for path in imports)
    return f"package main\n\n{lines}\nfunc main() {{\n{calls}}}\n"


def package(name: str, text: str, *imports: str) -> str:
    """A package with `Text()`."""
    lines = "".join(f'import _ "{path}"\n' for path in imports)
    return f'package {name}\n\n{lines}\nfunc Text() string {{ return "{text}" }}\n'


MANIFEST = "image: ko://example.org/tools/cmd/gen\n"
BAD = "go_executable(name='exe', package='{}')\ngo_oci_image(name='bad', binary=':exe')\n"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> GoProxy:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.org/deep", "v0.1.0", {"deep.go": package("deep", "deep 0.1.0")})
    for version in ("v1.0.0", "v1.1.0"):
        files = {
            "dep.go": package("dep", f"dep {version}", "example.org/deep"),
            "sub/sub.go": package("sub", f"sub {version}"),
        }
        proxy.add("example.org/dep", version, files, ("example.org/deep", "v0.1.0"))
    # Only a build for arm64 needs the other module.
    files = {
        "arch.go": package("arch", "arch"),
        "arch_arm64.go": 'package arch\n\nimport _ "example.org/deep"\n',
    }
    proxy.add("example.org/arch", "v1.0.0", files, ("example.org/deep", "v0.1.0"))
    tools = {
        "cmd/gen/main.go": program("example.org/tools/lib"),
        "lib/lib.go": package("lib", "gen"),
    }
    proxy.add("example.org/tools", "v1.2.0", tools)
    return proxy


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    proxy: GoProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    """Three modules in sub-directories, two of which use different versions of one module."""
    workspace = make_workspace(env=proxy.env)
    cache = tmp_path_factory.mktemp("go")
    workspace.write(
        {
            "new/go.mod": go_mod("example.com/new", "", "require example.org/dep v1.1.0"),
            "new/cmd/tool/main.go": program("example.org/dep", "example.org/dep/sub"),
            "new/cmd/tool/BUILD": "go_oci_image()\n",
            "old/go.mod": go_mod("example.com/old", "", "require example.org/dep v1.0.0"),
            "old/main.go": program("example.org/dep"),
            "old/BUILD": "go_oci_image()\ngo_sources(name='go')\n",
            "shared/go.mod": go_mod(
                "example.com/shared",
                "",
                "require example.org/dep v1.0.0",
                "require example.org/arch v1.0.0",
            ),
            "shared/uses/main.go": program("example.org/dep"),
            "shared/uses/BUILD": "go_oci_image()\n",
            "shared/deep/main.go": program("example.org/deep"),
            "shared/deep/BUILD": "go_oci_image(image_tags=['1'])\n",
            "shared/none/main.go": SMALL,
            "shared/none/BUILD": "go_oci_image()\n",
            "shared/arch/main.go": program("example.org/arch"),
            "shared/arch/BUILD": "go_oci_image(platforms=['linux/amd64', 'linux/arm64'])\n",
            "third/vendored/go.mod": go_mod(
                "example.com/vendored", "", "require example.org/dep v1.0.0"
            ),
            "third/vendored/main.go": program("example.org/dep"),
            "third/vendored/BUILD": "go_oci_image()\ngo_sources(name='go')\n",
            "tooling/go.mod": go_mod("example.com/tooling", "", "require example.org/tools v1.2.0"),
            "tooling/tools.go": "//go:build tools\n\npackage tooling\n\n"
            'import _ "example.org/tools/cmd/gen"\n',
            "tooling/kodata/not.txt": "of another program\n",
            "tooling/images/BUILD": "go_executable(\n"
            "    name='bin', package='example.org/tools/cmd/gen')\n"
            "go_oci_image(name='gen', binary=':bin')\n",
            "tooling/BUILD": "go_sources(name='go')\n",
            "flags/go.mod": go_mod("example.com/flags"),
            "flags/cmd/main.go": 'package main\n\nvar version = "none"\n\n'
            "func main() { println(version, tagged) }\n",
            "flags/cmd/plain.go": "//go:build !special\n\npackage main\n\nconst tagged = false\n",
            "flags/cmd/special.go": "//go:build special\n\npackage main\n\nconst tagged = true\n",
            "flags/BUILD": "go_executable(name='program', main='cmd', flags=['-tags=special'],\n"
            "    ldflags=['-X', 'main.version=v9', '-s', '-w'])\n"
            "go_oci_image(name='flags', binary=':program')\n",
        }
    )
    for module in ("new", "old", "shared", "tooling", "third/vendored"):
        proxy.go("mod", "tidy", cwd=workspace.root / module, cache=cache)
    proxy.go("mod", "vendor", cwd=workspace.root / "third/vendored", cache=cache)
    return workspace


@pytest.fixture(scope="module")
def first(repo: Workspace) -> Run:
    return repo.publish("::").ok()


def output_of(repo: Workspace, name: str, directory: Path) -> str:
    """What the program of a published image prints."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("not a linux/amd64 machine")
    image = published_in(repo.root / "dist" / "oci", f"{name}:latest")
    path = directory / name
    path.write_bytes(image.manifests[0].executable())
    path.chmod(0o755)
    done = subprocess.run([str(path)], capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tool", "dep v1.1.0\nsub v1.1.0\n"),
        ("old", "dep v1.0.0\n"),
        ("uses", "dep v1.0.0\n"),
        ("arch", "arch\n"),
        ("vendored", "dep v1.0.0\n"),
        ("flags", "v9 true\n"),
        ("gen", "gen\n"),
    ],
)
def test_program_has_its_modules(
    name: str, text: str, first: Run, repo: Workspace, tmp_path: Path
) -> None:
    assert output_of(repo, name, tmp_path) == text


def test_a_program_of_another_module(first: Run, repo: Workspace) -> None:
    image = published_in(repo.root / "dist" / "oci", "gen:latest").manifests[0]
    assert image.config["config"]["Entrypoint"] == ["/ko-app/gen"]
    assert b"of another program" not in image.tars[0]
    run = repo.pants("dependencies", "tooling/images:gen").ok()
    assert {"tooling/go.mod:go", "tooling/go.sum:go", "tooling/images:bin"} == {
        line.replace("../", "") for line in run.stdout.split()
    }
    repo.write({"deploy/BUILD": "kubernetes_manifests()\n", "deploy/x.yaml": MANIFEST})
    try:
        repo.pants("package", "deploy", env={"KO_DOCKER_REPO": "127.0.0.1:1/x"}).ok()
    finally:
        repo.remove("deploy")
    assert "image: 127.0.0.1:1/x/gen@sha256:" in (repo.root / "dist/deploy/deploy.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("example.org/tools/lib", "is no program"),
        ("example.org/other/cmd", "go.mod does not require a module with example.org/other/cmd"),
        ("example.com/tooling/cmd", "is in a module of this repository"),
    ],
)
def test_a_package_that_is_no_program_of_another_module(
    name: str, message: str, first: Run, repo: Workspace
) -> None:
    repo.write({"tooling/bad/BUILD": BAD.format(name)})
    try:
        run = repo.publish("tooling/bad:bad")
    finally:
        repo.remove("tooling/bad")
    assert run.exit_code != 0
    (error,) = run.errors
    assert message in error
    assert "tooling/bad:" in error


def test_vendored_needs_no_proxy(first: Run, repo: Workspace) -> None:
    repo.write({"third/vendored/more.go": "package main\n\nfunc init() { println() }\n"})

    try:
        run = repo.publish("third/vendored:vendored", env={"GOPROXY": "off"}).ok()
    finally:
        repo.remove("third/vendored/more.go")

    assert run.processes[0] == "Compile example.com/vendored for linux/amd64"


def test_edit_below_vendor_reaches_the_image(first: Run, repo: Workspace) -> None:
    path = repo.root / "third/vendored/vendor/example.org/dep/dep.go"
    before = path.read_text()
    path.write_text(before.replace("dep v1.0.0", "dep edited"))

    try:
        run = repo.publish("::").ok()
    finally:
        path.write_text(before)

    compiled = [p for p in run.processes if p.startswith("Compile")]
    assert compiled == ["Compile example.com/vendored for linux/amd64"]


def test_another_version_of_a_module_rebuilds_its_users(
    first: Run, repo: Workspace, proxy: GoProxy, tmp_path: Path
) -> None:
    saved = {name: (repo.root / name).read_text() for name in ("old/go.mod", "old/go.sum")}
    proxy.go("get", "example.org/dep@v1.1.0", cwd=repo.root / "old", cache=tmp_path / "go")

    try:
        run = repo.publish("old::", "new::").ok()
        text = output_of(repo, "old", tmp_path)
    finally:
        repo.write(saved)

    compiled = [p for p in run.processes if p.startswith("Compile")]
    assert compiled == ["Compile example.com/old for linux/amd64"]
    assert text == "dep v1.1.0\n"


def test_bump_of_a_shared_go_mod_rebuilds_who_uses_the_module(
    first: Run, repo: Workspace, proxy: GoProxy, tmp_path: Path
) -> None:
    names = ("shared/go.mod", "shared/go.sum")
    saved = {name: (repo.root / name).read_text() for name in names}
    proxy.go("get", "example.org/dep@v1.1.0", cwd=repo.root / "shared", cache=tmp_path / "go")

    try:
        run = repo.publish("shared::").ok()
        text = output_of(repo, "uses", tmp_path)
    finally:
        repo.write(saved)
        repo.publish("shared::").ok()

    compiled = [p for p in run.processes if p.startswith("Compile")]
    assert compiled == ["Compile example.com/shared/uses for linux/amd64"]
    assert {a for a, entry in run.images.items() if entry["published"]} == {"shared/uses:uses"}
    assert text == "dep v1.1.0\n"


def test_executable_is_that_of_the_whole_go_mod(
    first: Run, repo: Workspace, proxy: GoProxy, tmp_path: Path
) -> None:
    image = published_in(repo.root / "dist" / "oci", "uses:latest")
    flags = ("-mod=readonly", "-trimpath", "-buildvcs=false")
    out = tmp_path / "uses"
    where = repo.root / "shared"
    proxy.go("build", *flags, "-o", str(out), "./uses", cwd=where, cache=tmp_path / "go")

    assert image.manifests[0].executable() == out.read_bytes()


def test_a_module_that_is_not_what_go_sum_says(first: Run, repo: Workspace) -> None:
    path = repo.root / "old/go.sum"
    before = path.read_text()
    lines = [
        line[: line.index(" h1:")] + " h1:" + "A" * 43 + "="
        if line.startswith("example.org/dep v1.0.0 ")
        else line
        for line in before.splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    maps = repo.maps()

    try:
        run = repo.publish("old:old")
    finally:
        path.write_text(before)

    assert run.exit_code != 0
    (error,) = run.errors
    assert "old:old" in error
    assert "checksum mismatch" in error
    assert repo.maps() == maps


def test_a_module_that_the_proxy_lacks(first: Run, repo: Workspace) -> None:
    repo.write(
        {
            "lacking/go.mod": go_mod("example.com/lacking", "", "require example.org/no v1.0.0"),
            "lacking/go.sum": "example.org/no v1.0.0 h1:" + "A" * 43 + "=\n"
            "example.org/no v1.0.0/go.mod h1:" + "A" * 43 + "=\n",
            "lacking/main.go": program("example.org/no"),
            "lacking/BUILD": "go_oci_image()\n",
        }
    )

    try:
        run = repo.publish("lacking:lacking")
    finally:
        repo.remove("lacking")

    assert run.exit_code != 0
    (error,) = run.errors
    assert "lacking:lacking" in error
    assert "example.org/no" in error


def test_image_without_own_sources_target(first: Run, repo: Workspace) -> None:
    """The module is at the root of the repository, and its BUILD file has one line."""
    repo.write({"go.mod": go_mod("example.com/root"), "main.go": SMALL})
    repo.write({"BUILD": "go_oci_image(name='root')\n"})

    try:
        run = repo.publish("//:root").ok()
    finally:
        repo.remove("go.mod", "main.go", "BUILD")

    assert run.images["//:root"]["names"] == ["oci:dist/oci:root:latest"]


def test_gowork_may_be_the_path_of_the_go_work_that_go_finds(repo: Workspace) -> None:
    repo.write(
        {
            "work/go.work": "go 1.21\nuse ./app\nuse ./lib\n",
            "work/lib/go.mod": go_mod("example.com/lib"),
            "work/lib/lib.go": "package lib\n\nconst Text = 1\n",
            "work/app/go.mod": go_mod("example.com/work"),
            "work/app/main.go": 'package main\n\nimport "example.com/lib"\n\n'
            "func main() { println(lib.Text) }\n",
            "work/app/BUILD": "go_oci_image(image_tags=['work'])\n",
        }
    )
    try:
        path = str(repo.root / "work/go.work")
        named = repo.publish("work/app:", env={"GOWORK": path}).ok()
        assert named.images["work/app:app"]["published"]
        assert "up to date" in repo.publish("work/app:").ok().images["work/app:app"]["status"]
    finally:
        repo.remove("work")


def test_a_profile_is_an_input(repo: Workspace) -> None:
    repo.write(
        {
            "pgo/go.mod": go_mod("example.com/pgo"),
            "pgo/main.go": SMALL,
            "pgo/prof/cpu.pprof": "",
            "pgo/BUILD": "go_executable(name='program', flags=['-pgo=prof/cpu.pprof'])\n"
            "go_oci_image(name='pgo', binary=':program')\n"
            "go_sources(name='go', sources=['**/*'])\n",
        }
    )
    try:
        assert repo.publish("pgo:pgo").ok().images["pgo:pgo"]["published"]
        listed = repo.pants("dependencies", "pgo:program")
        assert "pgo/prof/cpu.pprof:../go" in listed.stdout
        repo.write({"pgo/prof/cpu.pprof": "no profile"})
        refused = repo.publish("pgo:pgo")
        assert refused.exit_code != 0, "the change of the profile was not noticed"
        assert "pgo:program: `go build` failed" in refused.output
    finally:
        repo.remove("pgo")
