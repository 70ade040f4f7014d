"""Images with files, kodata elsewhere and several programs: unpacked, and run, by other tools."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable, Mapping

import pytest
from integration.podman import run_with_podman
from integration.workspace import Run, Workspace, go_mod, tool

SERVER = """package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	for _, path := range []string{"/etc/app/app.yaml", "/opt/tool.sh", "/data"} {
		info, err := os.Stat(path)
		if err != nil {
			panic(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		fmt.Printf("%s %o %d:%d\\n", path, info.Mode().Perm(), owner.Uid, owner.Gid)
	}
	for _, path := range []string{"/etc/app/app.yaml", os.Getenv("KO_DATA_PATH") + "/page"} {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		fmt.Print(string(text))
	}
	probe, err := exec.Command("probe").CombinedOutput()
	fmt.Print(string(probe), err, "\\n")
}
"""
PROBE = 'package main\n\nfunc main() {\n\tprintln("the probe")\n}\n'
BUILD = """
oci_files(
    name="etc", sources=["conf/*.yaml"], strip_prefix="conf", at="/etc/app",
    rename={"prod.yaml": "app.yaml"}, mode="0640", owner="7:8",
)
oci_files(name="opt", targets=["//made:tool"], at="/opt")
oci_files(name="data", at="/data", directory_mode="1770", owner="65532:65532")
go_executable(name="probe", main="probe")
go_oci_image(
    name="server", files=[":etc", ":opt", ":data"], kodata="../web", binaries=[":probe"],
    platforms=["linux/amd64", "linux/arm64"],
)
"""


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    # With `shell_command`, which generates files.
    workspace = make_workspace(env={"PANTS_BACKEND_PACKAGES": "+['pants.backend.shell']"})
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/server"),
            "app/main.go": SERVER,
            "app/probe/main.go": PROBE,
            "app/conf/prod.yaml": "a: 1\n",
            "app/BUILD": BUILD,
            "web/page": "a page\n",
            "made/BUILD": (
                "shell_command(name='tool', tools=['chmod'], output_files=['tool.sh'],\n"
                "    command=\"echo '#!/bin/sh' > tool.sh; chmod 755 tool.sh\")\n"
            ),
        }
    )
    return workspace


@pytest.fixture(scope="module")
def first(repo: Workspace) -> Run:
    return repo.publish("app:server").ok()


def layers_of(run: Run, platform: str = "linux/amd64") -> list[Mapping[str, Any]]:
    layers = run.images["app:server"]["layers"]
    return [layer for layer in layers if layer["platform"] == platform]


def test_the_layers_are_in_their_order(first: Run) -> None:
    kinds = [layer["kind"] for layer in layers_of(first)]
    assert kinds == ["files", "files", "files", "kodata", "binary", "binary"]
    # Files are the same on every architecture: their layers are written once.
    assert layers_of(first, "linux/arm64")[:4] == [
        {**layer, "platform": "linux/arm64"} for layer in layers_of(first)[:4]
    ]
    build = first.images["app:server"]["build"]["linux/amd64"]
    assert build["executable"] == build["binaries"]["probe"]["executable"] == "ran"


def test_unpacked_it_has_the_modes_owners_and_paths(
    repo: Workspace, first: Run, tmp_path: Path
) -> None:
    umoci, skopeo = tool("umoci"), tool("skopeo")
    # umoci wants an image of one platform.
    copy = [skopeo, "copy", "--override-arch=amd64", f"oci:{repo.root}/dist/oci:server:latest"]
    subprocess.run([*copy, f"oci:{tmp_path}/one:latest"], check=True, capture_output=True)
    unpack = [umoci, "unpack", "--image", f"{tmp_path}/one:latest", f"{tmp_path}/bundle"]
    if os.geteuid():
        unpack.insert(2, "--rootless")
    subprocess.run(unpack, check=True, capture_output=True)
    found = {}
    root = tmp_path / "bundle" / "rootfs"
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        owner = (info.st_uid, info.st_gid) if not os.geteuid() else None
        found[str(path.relative_to(root))] = (oct(stat.S_IMODE(info.st_mode)), owner)
    expected = {
        "etc": ("0o755", (0, 0)),
        "etc/app": ("0o755", (7, 8)),
        "etc/app/app.yaml": ("0o640", (7, 8)),
        "opt": ("0o755", (0, 0)),
        "opt/tool.sh": ("0o755", (0, 0)),
        "data": ("0o1770", (65532, 65532)),
        "var": ("0o555", (0, 0)),
        "var/run": ("0o555", (0, 0)),
        "var/run/ko": ("0o555", (0, 0)),
        "var/run/ko/page": ("0o555", (0, 0)),
        "ko-app": ("0o555", (0, 0)),
        "ko-app/probe": ("0o555", (0, 0)),
        "ko-app/server": ("0o555", (0, 0)),
    }
    if os.geteuid():
        expected = {path: (mode, None) for path, (mode, _) in expected.items()}  # type: ignore[misc]
    assert found == expected


def test_it_runs_and_finds_all_of_it(repo: Workspace, first: Run) -> None:
    output = run_with_podman(f"oci:{repo.root}/dist/oci:server:latest")
    assert output.splitlines() == [
        "/etc/app/app.yaml 640 7:8",
        "/opt/tool.sh 755 0:0",
        "/data 770 65532:65532",
        "a: 1",
        "a page",
        "the probe",
        "<nil>",
    ]


def test_an_edit_of_a_file_compiles_nothing_and_writes_one_layer(
    repo: Workspace, first: Run
) -> None:
    repo.write({"app/conf/prod.yaml": "a: 2\n"})
    try:
        run = repo.publish("app:server").ok()
    finally:
        repo.write({"app/conf/prod.yaml": "a: 1\n"})
    assert run.processes == ["Make layer of files at /etc/app"]
    changed = [
        old["kind"]
        for old, new in zip(layers_of(first), layers_of(run))
        if old["digest"] != new["digest"]
    ]
    assert changed == ["files"]


def test_a_changed_file_selects_the_image(repo: Workspace, first: Run) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "app", "web", "made"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=repo.root, check=True, capture_output=True)
    repo.write({"app/conf/prod.yaml": "a: 3\n"})
    try:
        changed = "--changed-since=HEAD", "--changed-dependents=transitive"
        listed = repo.pants(*changed, "list").ok().stdout.split()
    finally:
        repo.write({"app/conf/prod.yaml": "a: 1\n"})
    assert listed == ["app:etc", "app:server"]


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("conf/*.yaml", "conf/*.json", ["app:etc, field `sources`", "conf/*.json"]),
        ('"0640"', '"rw-r-----"', ["app:etc, field `mode`", "'rw-r-----'"]),
        ('"7:8"', '"app:app"', ["app:etc, field `owner`", "'app:app'"]),
        ('"/opt"', '"opt"', ["app:opt, field `at`", "absolute path"]),
        ("../web", "../nowhere", ["app:server, field `kodata`", "nowhere is not"]),
    ],
)
def test_a_mistake_is_an_error_without_a_traceback(
    repo: Workspace, right: str, wrong: str, words: list[str]
) -> None:
    repo.write({"app/BUILD": BUILD.replace(right, wrong)})
    try:
        run = repo.publish("app:server")
    finally:
        repo.write({"app/BUILD": BUILD})
    assert run.exit_code == 1
    for word in words:
        assert word in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(("compression", "suffix"), [("zstd", "zstd"), ("estargz", "gzip")])
def test_a_target_has_its_own_compression_and_runs(
    repo: Workspace, compression: str, suffix: str
) -> None:
    build = BUILD.replace('"../web"', f'"../web", compression="{compression}"')
    repo.write({"app/BUILD": build.replace('"server"', f'"{compression}"')})
    try:
        repo.publish(f"app:{compression}").ok()
    finally:
        repo.write({"app/BUILD": BUILD})
    layout = repo.root / "dist" / "oci"
    source = f"oci:{layout}:{compression}:latest"
    inspect = [tool("skopeo"), "inspect", "--raw", source]
    index = json.loads(subprocess.run(inspect, check=True, capture_output=True).stdout)
    digest = index["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / "sha256" / digest[7:]).read_text())
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {suffix}
    toc = "containerd.io/snapshot/stargz/toc.digest"
    has_toc = [toc in layer.get("annotations", {}) for layer in manifest["layers"]]
    assert has_toc == [compression == "estargz"] * 6
    assert "the probe" in run_with_podman(source)
