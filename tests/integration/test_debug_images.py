"""Debug images of compiled programs: Delve from go.mod or a target, and no optimizations."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from integration.go_proxy import GoProxy
from integration.published import Published, published_in
from integration.workspace import Run, Workspace, go_mod

DELVE = "github.com/go-delve/delve"
FAKE = 'package main\n\nimport "example.com/lib"\n\nfunc main() { println("delve " + lib.Text) }\n'
APP = "package main\n\nfunc main() { println(1) }\n"
BUILD = """
P = ["linux/amd64", "linux/arm64"]
go_executable(name="exe", ldflags=["-X=main.x=1"])
go_oci_image(name="plain", binary=":exe", platforms=P)
go_oci_image(name="debug", binary=":exe", platforms=P, debug=True)
go_oci_image(name="slow", binary=":exe", disable_optimizations=True)
go_oci_image(name="fast", binary=":exe", platforms=P, debug=True, disable_optimizations=False)
go_executable(name="own", main="../own/dlv")
go_oci_image(name="owned", binary=":exe", debug=True, delve=":own")
"""


class Repo:
    """A module that requires a Delve of the test's own proxy."""

    def __init__(self, workspace: Workspace, directory: Path) -> None:
        self.workspace = workspace
        self.proxy = GoProxy(directory / "proxy")
        self.proxy.add(
            "example.com/lib", "v1.0.0", {"lib.go": 'package lib\n\nconst Text = "of go.mod"\n'}
        )
        self.proxy.add(DELVE, "v1.2.3", {"cmd/dlv/main.go": FAKE}, ("example.com/lib", "v1.0.0"))
        self.proxy.add("example.com/other", "v1.0.0", {"other.go": "package other\n"})
        workspace.write(
            {
                "app/go.mod": go_mod(
                    "example.com/app",
                    "",
                    f"require {DELVE} v1.2.3",
                    "require example.com/other v1.0.0",
                ),
                "app/tools.go": f'//go:build tools\n\npackage main\n\nimport _ "{DELVE}/cmd/dlv"\n',
                "app/main.go": APP,
                "app/BUILD": BUILD,
                "own/go.mod": go_mod("example.com/own"),
                "own/dlv/main.go": 'package main\n\nfunc main() { println("own delve") }\n',
            }
        )
        self.proxy.go("mod", "tidy", cwd=workspace.root / "app", cache=directory / "cache")

    def publish(self, *targets: str, flags: tuple[str, ...] = ()) -> Run:
        return self.workspace.publish(*targets, env=self.proxy.env, flags=flags)

    def image(self, name: str) -> Published:
        return published_in(self.workspace.root / "dist/oci", f"{name}:latest")


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Repo:
    made = Repo(make_workspace(), tmp_path_factory.mktemp("debug"))
    made.publish("app:").ok()
    return made


def is_optimized(executable: bytes) -> bool:
    """What Go itself says in the executable (`go version -m`)."""
    return b'-gcflags="all=-N -l"' not in executable


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_delve_of_go_mod_is_in_the_image(repo: Repo, platform: str) -> None:
    manifest = repo.image("debug").for_platform(platform)
    assert manifest.config["config"]["Entrypoint"][0] == "/ko-app/dlv"
    assert manifest.config["config"]["Entrypoint"][-1] == "/ko-app/app"
    delve = manifest.tars[-2]
    assert b"ko-app/dlv" in delve
    assert b"delve of go.mod" in delve


def test_delve_of_a_target(repo: Repo) -> None:
    manifest = repo.image("owned").manifests[0]
    assert b"own delve" in manifest.tars[-2]
    assert manifest.config["config"]["Entrypoint"][0] == "/ko-app/dlv"


def test_a_debug_image_is_not_optimized_unless_the_target_says_so(repo: Repo) -> None:
    for name, expected in {"plain": True, "debug": False, "slow": False, "fast": True}.items():
        assert is_optimized(repo.image(name).manifests[0].executable()) is expected, name


def test_the_same_program_without_debugger_is_as_it_was(repo: Repo) -> None:
    plain, fast = (repo.image(name).for_platform("linux/amd64") for name in ("plain", "fast"))
    assert plain.manifest["layers"][-1] == fast.manifest["layers"][-1]
    assert len(fast.manifest["layers"]) == len(plain.manifest["layers"]) + 1


def test_an_edit_of_the_program_does_not_compile_delve(repo: Repo) -> None:
    repo.workspace.write({"app/main.go": APP.replace("1", "2")})
    run = repo.publish("app:debug").ok()
    assert run.processes
    assert all("example.com/app" in p for p in run.processes if p.startswith("Compile"))
    assert set(run.images["app:debug"]["build"]["linux/amd64"]["binaries"]) == {"dlv"}
    assert repo.publish("app:debug").ok().processes == []


def test_the_target_of_delve_is_a_dependency(repo: Repo) -> None:
    listed = repo.workspace.pants("dependencies", "app:owned", env=repo.proxy.env).ok()
    assert "app:own" in listed.stdout.split()


def test_options_for_one_run(repo: Repo) -> None:
    repo.publish("app:plain", flags=("--ko-debug",)).ok()
    assert repo.image("plain").manifests[0].config["config"]["Entrypoint"][0] == "/ko-app/dlv"
    repo.publish("app:plain", flags=("--ko-disable-optimizations",)).ok()
    manifest = repo.image("plain").manifests[0]
    assert manifest.config["config"]["Entrypoint"] == ["/ko-app/app"]
    assert not is_optimized(manifest.executable())


def test_a_go_mod_without_delve_says_how_to_get_it(repo: Repo) -> None:
    repo.workspace.write({"own/dlv/BUILD": "go_oci_image(debug=True)\n"})
    run = repo.publish("own/dlv")
    repo.workspace.remove("own/dlv/BUILD")
    assert run.exit_code != 0
    assert "own/dlv:dlv, field `debug`: own/go.mod does not require a module" in run.output
    assert f"go get -tool {DELVE}/cmd/dlv@latest" in run.output
    assert "Traceback" not in run.output
