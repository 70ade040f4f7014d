"""The examples of docs/sbom.md sign images in whole runs, and cosign and openssl verify them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from go_peers import find_go_peer
from integration.workspace import REPO, SMALL, Workspace, go_mod, tool
from real_registry import RealRegistry, docker_registry

PASSWORD = "canary-k3y-passw0rd"
PLATFORMS = ["linux/amd64", "linux/arm64"]


def example(word: str) -> str:
    """The script in the section about signatures that has this word in it."""
    section = (REPO / "docs" / "sbom.md").read_text().partition("\n## Signatures")[2]
    scripts: list[str] = re.findall(r"(?s)```sh\n(#!.*?)```", section)
    (script,) = (script for script in scripts if word in script)
    return script


@pytest.fixture(scope="module", params=[2, 3])
def registry(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry"), major=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "go.mod": go_mod("example.com/small"),
            "main.go": SMALL,
            "BUILD": f"go_oci_image(name='image', repository='app', platforms={PLATFORMS})\n",
        }
    )
    (workspace.root / "keys").mkdir()
    return workspace


def cosign(repo: Workspace, *args: str) -> str:
    """Run cosign, in the directory of the keys and without a network."""
    done = subprocess.run(
        [find_go_peer("cosign"), *args],
        cwd=repo.root / "keys",
        env={"PATH": os.environ["PATH"], "HOME": str(repo.home), "COSIGN_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def verify(repo: Workspace, reference: str) -> None:
    """Have cosign verify a signature of the key in `keys/`."""
    claims = cosign(
        repo,
        *("verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true"),
        *("--allow-http-registry", reference),
    )
    assert json.loads(claims)[0]["critical"]["image"]["docker-manifest-digest"] in reference


def with_cosign(repo: Workspace) -> dict[str, str]:
    """The variables of a run whose signer calls cosign; the keys are made."""
    if not (repo.root / "keys" / "cosign.key").exists():
        cosign(repo, "generate-key-pair")
    places = [str(Path(find_go_peer("cosign")).parent), repo.env["PATH"]]
    return {"PATH": os.pathsep.join(places), "COSIGN_PASSWORD": PASSWORD}


def test_the_script_with_cosign(repo: Workspace, registry: RealRegistry) -> None:
    tool("jq")
    env = {**with_cosign(repo), "KO_DOCKER_REPO": f"{registry.host}/script"}
    repo.write({"scripts/sign": example("cosign sign")})
    (repo.root / "scripts" / "sign").chmod(0o755)
    run = repo.publish(flags=["--ko-signer=['./scripts/sign']"], env=env).ok()
    digest = run.images["//:image"]["digest"]
    verify(repo, f"{registry.host}/script/app@{digest}")
    # The manifests of the index are signed too.
    url = f"{registry.host}/script/app"
    index = json.loads(subprocess.check_output([tool("skopeo"), *_RAW, f"docker://{url}"]))
    for child in index["manifests"]:
        verify(repo, f"{url}@{child['digest']}")
    assert PASSWORD not in run.output


_RAW = ("inspect", "--raw", "--tls-verify=false")


def test_cosign_needs_no_script(repo: Workspace, registry: RealRegistry) -> None:
    env = {**with_cosign(repo), "KO_DOCKER_REPO": f"{registry.host}/direct"}
    signer = [
        *("cosign", "sign", "--yes", "--key", "keys/cosign.key", "--use-signing-config=false"),
        *("--tlog-upload=false", "--allow-http-registry", "{reference}"),
    ]
    run = repo.publish(flags=[f"--ko-signer={signer!r}"], env=env).ok()
    verify(repo, f"{registry.host}/direct/app@{run.images['//:image']['digest']}")


def test_what_cosign_says_when_it_fails(repo: Workspace, registry: RealRegistry) -> None:
    env = {**with_cosign(repo), "KO_DOCKER_REPO": f"{registry.host}/fails"}
    flags = ["--yes", "--key", "keys/absent.key", "--use-signing-config=false"]
    signer = ["cosign", "sign", *flags, "{reference}"]
    run = repo.publish(flags=[f"--ko-signer={signer!r}"], env=env)
    assert run.exit_code == 1
    assert "(option [ko].signer) failed for" in run.output
    assert "keys/absent.key" in run.output
    assert "no such file" in run.output


def test_the_script_with_openssl(repo: Workspace) -> None:
    tool("jq")
    openssl = tool("openssl")
    repo.write({"scripts/sign": example("openssl")})
    (repo.root / "scripts" / "sign").chmod(0o755)
    key, public = repo.root / "keys" / "release.pem", repo.root / "keys" / "release.pub"
    for command in (
        f"genpkey -algorithm ed25519 -out {key}",
        f"pkey -in {key} -pubout -out {public}",
    ):
        subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    run = repo.publish(flags=["--ko-signer=['./scripts/sign']"]).ok()
    digest = run.images["//:image"]["digest"]
    blobs = repo.root / "dist" / "oci" / "blobs"
    (entry,) = (
        entry
        for entry in json.loads((blobs.parent / "index.json").read_text())["manifests"]
        if entry.get("artifactType") == "application/vnd.example.signature"
    )
    signature = json.loads((blobs / entry["digest"].replace(":", "/")).read_text())
    assert signature["subject"]["digest"] == digest
    (repo.root / "signed").write_text(digest + "\n")
    path = blobs / signature["layers"][0]["digest"].replace(":", "/")
    subprocess.run(
        [
            *(openssl, "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"),
            *("-in", str(repo.root / "signed"), "-sigfile", str(path)),
        ],
        check=True,
        capture_output=True,
    )
