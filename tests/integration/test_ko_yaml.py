"""A repository of ko's users: its `.ko.yaml` is read, and an edit rebuilds what it concerns."""

from __future__ import annotations

import os
import subprocess
from typing import Callable, Iterator

import pytest
from go_peers import find_go_peer
from integration.bases import make_base, push
from integration.published import PublishedManifest, published_on
from integration.workspace import Workspace, go_mod
from real_registry import RealRegistry, docker_registry

MAIN = """package main

var version = "none"

func main() {
	println(version)
}
"""
KO_YAML = """# As in many repositories.
defaultBaseImage: {host}/bases/usual:latest
defaultPlatforms: [linux/amd64, linux/arm64]
baseImageOverrides:
  example.com/Shop/cmd/special: {host}/bases/special:latest
defaultLdflags: [-s]
builds:
- id: stamped
  main: ./cmd/stamped/main.go
  env: [CGO_ENABLED=0]
  flags: [-tags, netgo]
  ldflags:
  - -X main.version={{{{.Env.VERSION}}}}
  linux_capabilities: [net_bind_service=ep]
"""
PROGRAMS = ("plain", "special", "stamped")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as found:
        for name in ("usual", "special"):
            push(make_base(text=name), found.host, f"bases/{name}")
        yield found


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    workspace = make_workspace()
    text = (workspace.root / "pants.toml").read_text()
    (workspace.root / "pants.toml").write_text(
        text.replace('default_base_image = "scratch"\n', 'naming = "base-import-paths"\n')
    )
    workspace.write(
        {
            "go.mod": go_mod("example.com/Shop"),
            ".ko.yaml": KO_YAML.format(host=registry.host),
            **{f"cmd/{name}/main.go": MAIN for name in PROGRAMS},
            **{f"cmd/{name}/BUILD": "go_oci_image()\n" for name in PROGRAMS},
        }
    )
    return workspace


def environment(registry: RealRegistry, name: str) -> dict[str, str]:
    return {"KO_DOCKER_REPO": f"{registry.host}/{name}", "VERSION": "1.2.3"}


@pytest.fixture(scope="module")
def ours(repo: Workspace, registry: RealRegistry) -> dict[str, tuple[PublishedManifest, ...]]:
    repo.publish("::", env=environment(registry, "ours")).ok()
    return {n: published_on(registry.host, f"ours/{n}").manifests for n in PROGRAMS}


def test_what_it_says_is_in_the_images(ours: dict[str, tuple[PublishedManifest, ...]]) -> None:
    for name, manifests in ours.items():
        assert [m.platform for m in manifests] == ["linux/amd64", "linux/arm64"]
        base = b"special" if name == "special" else b"usual"
        assert all(base in manifest.tars[0] for manifest in manifests)
    stamped, plain = ours["stamped"][0], ours["plain"][0]
    assert b"1.2.3" in stamped.executable()
    assert b"1.2.3" not in plain.executable()
    assert b"SCHILY.xattr.security.capability" in stamped.tars[-1]
    assert b"SCHILY.xattr.security.capability" not in plain.tars[-1]


def test_the_layers_are_kos(
    repo: Workspace, registry: RealRegistry, ours: dict[str, tuple[PublishedManifest, ...]]
) -> None:
    ko = find_go_peer("ko")
    done = subprocess.run(
        [ko, "build", "-B", "--sbom=none", *(f"./cmd/{name}" for name in PROGRAMS)],
        cwd=repo.root,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(repo.home),
            "GOFLAGS": "-buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            **environment(registry, "kos"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, manifests in ours.items():
        kos = published_on(registry.host, f"kos/{name}").manifests
        assert [m.config["rootfs"] for m in manifests] == [m.config["rootfs"] for m in kos]


def test_an_edit_rebuilds_what_it_concerns(
    repo: Workspace, registry: RealRegistry, ours: dict[str, tuple[PublishedManifest, ...]]
) -> None:
    text = KO_YAML.format(host=registry.host)
    env = environment(registry, "ours")
    repo.write({".ko.yaml": text.replace("many repositories", "some") + "- main: ./cmd/nowhere\n"})
    run = repo.publish("::", env=env).ok()
    assert run.processes == []
    assert all("up to date" in image["status"] for image in run.images.values())

    repo.write({".ko.yaml": text.replace("[-tags, netgo]", "[-tags, netgo, -trimpath]")})
    run = repo.publish("::", env=env).ok()
    assert {p.partition(" for ")[0] for p in run.processes} <= {
        "Compile example.com/Shop/cmd/stamped",
        "List the modules of example.com/Shop/cmd/stamped",
    }
    assert run.processes != []


def test_a_bad_file_is_named_with_its_line(repo: Workspace, registry: RealRegistry) -> None:
    repo.write({".ko.yaml": "defaultBaseImage: [a]\n"})
    run = repo.publish("::", env=environment(registry, "bad"))
    assert run.exit_code == 1
    assert ".ko.yaml:1: expected a text, found a list" in run.output
    assert "Traceback" not in run.output
