"""SBOMs and provenance by whole runs: printed, written, and attached in a registry."""

from __future__ import annotations

import json
import urllib.request
from typing import Callable, Iterator

import pytest
from integration.go_proxy import GoProxy
from integration.workspace import Workspace, go_mod
from real_registry import RealRegistry, docker_registry

PLATFORMS = ["linux/amd64", "linux/arm64"]
PROGRAM = """package main

import "example.com/x"

func main() {
	println(x.X)
}
"""
FLAGS = (
    "--ko-sbom=spdx,cyclonedx",
    "--ko-provenance",
    "--ko-provenance-builder-id=https://ci.example.com",
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> GoProxy:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.com/x", "v1.2.3", {"x.go": "package x\n\nconst X = 1\n"})
    return proxy


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def checkout(
    make_workspace: Callable[..., Workspace],
    proxy: GoProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Workspace]:
    """Makes a checkout of the same files at another path, with a KOCACHE and a store of its own."""

    def make(name: str) -> Workspace:
        workspace = make_workspace(name, env=proxy.env)
        workspace.write(
            {
                "go.mod": go_mod("example.com/app", "", "require example.com/x v1.2.3"),
                "cmd/app/main.go": PROGRAM,
                "cmd/app/kodata/note.txt": "a note\n",
                "cmd/app/BUILD": f"go_oci_image(platforms={PLATFORMS!r})\n",
            }
        )
        proxy.go("mod", "tidy", cwd=workspace.root, cache=tmp_path_factory.mktemp("go"))
        return workspace

    return make


@pytest.fixture(scope="module")
def repo(checkout: Callable[[str], Workspace]) -> Workspace:
    return checkout("repo")


def printed(repo: Workspace, kind: str, platform: str) -> str:
    """What `ko-sbom` prints, without the line break at its end."""
    run = repo.pants(
        *FLAGS[2:], "ko-sbom", f"--format={kind}", f"--platform={platform}", "cmd/app"
    ).ok()
    assert run.stdout.endswith("}\n")
    return run.stdout[:-1]


def test_standard_output_is_the_document_alone(repo: Workspace) -> None:
    document = json.loads(printed(repo, "spdx", "linux/arm64"))
    modules = {
        (p["name"], p["versionInfo"])
        for p in document["packages"]
        if p["name"].startswith("example.com/")
    }
    assert modules == {("example.com/app", "(devel)"), ("example.com/x", "v1.2.3")}
    assert not (repo.root / "dist").exists()


def test_which_platform_has_to_be_said(repo: Workspace) -> None:
    run = repo.pants("ko-sbom", "cmd/app")
    assert (run.exit_code, run.stdout) == (1, "")
    assert "cmd/app:app has linux/amd64, linux/arm64, index; expected one of them" in run.stderr
    assert "Traceback" not in run.output


def test_files_of_package_are_what_ko_sbom_prints(repo: Workspace) -> None:
    repo.pants(*FLAGS, "package", "::").ok()
    directory = repo.root / "dist" / "cmd.app" / "app.image"
    for kind, place, ending in (
        ("spdx", "sbom", "spdx.json"),
        ("provenance", "provenance", "intoto.json"),
    ):
        for platform, name in (("linux/amd64", "linux-amd64"), ("index", "index")):
            path = directory / place / f"{name}.{ending}"
            assert path.read_text() == printed(repo, kind, platform)
    assert len(list(directory.glob("*/*.json"))) == 9


def test_another_checkout_prints_the_same_bytes(
    repo: Workspace, checkout: Callable[[str], Workspace]
) -> None:
    other = checkout("elsewhere-with-a-longer-name")
    for kind in ("spdx", "cyclonedx", "provenance"):
        for platform in ("linux/arm64", "index"):
            assert printed(other, kind, platform) == printed(repo, kind, platform)


def fetch(url: str) -> bytes:
    """The reply, whatever the media type of the manifest is."""
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(url, headers={"Accept": accept})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return bytes(response.read())


def attached(registry: RealRegistry, name: str, subject: str) -> dict[str, str]:
    """The documents that the fallback tag of a subject lists, by artifact type."""
    repository = name.partition("/")[2].partition(":")[0]
    base = f"http://{registry.host}/v2/{repository}"
    index = json.loads(fetch(f"{base}/manifests/{subject.replace(':', '-')}"))
    found = {}
    for entry in index["manifests"]:
        manifest = json.loads(fetch(f"{base}/manifests/{entry['digest']}"))
        assert manifest["subject"]["digest"] == subject
        (layer,) = manifest["layers"]
        content = fetch(f"{base}/blobs/{layer['digest']}")
        found[entry["artifactType"]] = content.decode()
    return found


TYPES = {
    "spdx": "application/spdx+json",
    "cyclonedx": "application/vnd.cyclonedx+json",
    "provenance": "application/vnd.in-toto+json",
}


def test_publish_attaches_what_ko_sbom_prints(repo: Workspace, registry: RealRegistry) -> None:
    env = {"KO_DOCKER_REPO": registry.host}
    repo.pants("package", "::").ok()
    summary = json.loads((repo.root / "dist/cmd.app/app.image/image.json").read_text())

    first = repo.publish(flags=FLAGS, env=env).ok().images["cmd/app:app"]

    # The digest is that of the image without SBOMs.
    assert (first["published"], first["digest"]) == (True, summary["descriptor"]["digest"])
    subjects = {p["platform"]: p["manifest"]["digest"] for p in summary["platforms"]}
    for platform, subject in (*subjects.items(), ("index", first["digest"])):
        assert attached(registry, first["names"][0], subject) == {
            media_type: printed(repo, kind, platform) for kind, media_type in TYPES.items()
        }

    # Without a daemon nothing is in memory, and still nobody makes a document.
    for flags in ((), ("--no-pantsd",)):
        run = repo.publish(flags=(*flags, "-ldebug", *FLAGS), env=env).ok()
        again = run.images["cmd/app:app"]
        assert (again["published"], again["digest"]) == (False, first["digest"])
        assert again["requests"] == 1
        assert "Completed: Describe image" not in run.stderr

    repo.remove("dist")
    written = repo.pants("--no-pantsd", "-ldebug", *FLAGS, "package", "::").ok()
    assert "Completed: Describe image" in written.stderr
    assert len(list((repo.root / "dist").glob("cmd.app/app.image/*/*.json"))) == 9
