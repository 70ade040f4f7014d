"""One image with everything that a target can say: run, unpacked and copied by other tools."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from integration.podman import run_with_podman
from integration.workspace import Workspace, go_mod, tool

SERVER = """package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	directory, _ := os.Getwd()
	fmt.Println("user", os.Getuid(), os.Getgid())
	fmt.Println("directory", directory)
	fmt.Println("arguments", strings.Join(os.Args[1:], " "))
	for _, name := range []string{"LEVEL", "KO_DATA_PATH", "PATH"} {
		fmt.Println(name, os.Getenv(name))
	}
	for _, path := range []string{os.Getenv("CONFIG"), os.Getenv("KO_DATA_PATH") + "/deep/page"} {
		text, err := os.ReadFile(path)
		fmt.Print(string(text))
		if err != nil {
			fmt.Println(err)
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\\n") {
		if strings.HasPrefix(line, "CapEff") {
			fmt.Println(line)
		}
	}
	text, err := exec.Command("probe").CombinedOutput()
	fmt.Print(string(text), err, "\\n")
	if file, err := os.Create("made"); err == nil {
		fmt.Println("may write to", file.Name())
	}
}
"""
PROBE = 'package main\n\nfunc main() {\n\tprintln("the probe")\n}\n'
BUILD = """
oci_files(name="etc", sources=["app.yaml"], at="/etc/app", mode="0440", owner="1000:2000")
oci_files(name="work", at="/work", directory_mode="0700", owner="1000:2000")
go_executable(name="probe", main="probe")
go_oci_image(
    name="server", binaries=[":probe"], files=[":etc", ":work"],
    platforms=["linux/amd64", "linux/arm64"],
    user="1000:2000", workdir="/work", image_env=["LEVEL=high", "CONFIG=/etc/app/app.yaml"],
    entrypoint_args=["serve"], cmd=["--quietly", "a b"],
    ports=[8080], volumes=["/data"], stop_signal="SIGINT", image_labels={"team": "shop"},
    linux_capabilities=["net_bind_service=ep"],
)
"""
# `struct vfs_cap_data`: revision 2 with the effective bit, permitted 1 << 10.
NET_BIND_SERVICE = bytes.fromhex("01000002000400000000000000000000" + "00000000")


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/server"),
            "app/main.go": SERVER,
            "app/probe/main.go": PROBE,
            "app/app.yaml": "a: 1\n",
            "app/kodata/deep/page": "a page\n",
            "app/BUILD": BUILD,
        }
    )
    formats = "--ko-package-formats=['oci-layout', 'oci-archive', 'docker-archive']"
    workspace.pants(formats, "package", "app:server").ok()
    return workspace


@pytest.fixture(scope="module")
def package(repo: Workspace) -> Path:
    """The directory that `package` wrote."""
    (summary,) = (repo.root / "dist").rglob("image.json")
    return summary.parent


def unpacked(package: Path, architecture: str, place: Path) -> Path:
    """The root directory of a container, by umoci."""
    one = f"oci:{place}/one:latest"
    copy = [tool("skopeo"), f"--override-arch={architecture}", "copy", f"oci:{package}"]
    subprocess.run([*copy, one], check=True, capture_output=True)
    unpack = [tool("umoci"), "unpack", "--image", f"{place}/one:latest", f"{place}/bundle"]
    if os.geteuid():
        unpack.insert(2, "--rootless")
    subprocess.run(unpack, check=True, capture_output=True)
    return place / "bundle" / "rootfs"


def test_podman_runs_it_as_the_target_says(package: Path) -> None:
    output = run_with_podman(f"oci:{package}")
    assert output.splitlines() == [
        "user 1000 2000",
        "directory /work",
        "arguments serve --quietly a b",
        "LEVEL high",
        "KO_DATA_PATH /var/run/ko",
        "PATH /ko-app",
        "a: 1",
        "a page",
        "CapEff:\t0000000000000400",
        "the probe",
        "<nil>",
        "may write to made",
    ]


def test_qemu_runs_the_program_of_the_other_architecture(package: Path, tmp_path: Path) -> None:
    qemu = tool("qemu-aarch64-static", "qemu-user-static")
    root = unpacked(package, "arm64", tmp_path)
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())["process"]
    assert config["cwd"] == "/work"
    assert config["args"] == ["/ko-app/server", "serve", "--quietly", "a b"]
    assert (config["user"]["uid"], config["user"]["gid"]) == (1000, 2000)
    # There is no container here: paths of the image are below its root.
    environment = {}
    for entry in config["env"]:
        name, _, value = entry.partition("=")
        environment[name] = f"{root}{value}" if value.startswith("/") else value
    program, *arguments = config["args"]
    output = subprocess.check_output(
        [qemu, f"{root}{program}", *arguments], env=environment, cwd=root / "work", text=True
    ).splitlines()
    assert output[2:4] == ["arguments serve --quietly a b", "LEVEL high"]
    assert output[6:8] == ["a: 1", "a page"]
    probe = subprocess.run([qemu, root / "ko-app" / "probe"], capture_output=True, check=True)
    assert probe.stderr == b"the probe\n"


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_umoci_unpacks_modes_owners_and_capabilities(
    package: Path, architecture: str, tmp_path: Path
) -> None:
    root = unpacked(package, architecture, tmp_path)
    expected = {
        "etc/app/app.yaml": (0o440, (1000, 2000)),
        "work": (0o700, (1000, 2000)),
        "ko-app/server": (0o555, (0, 0)),
        "ko-app/probe": (0o555, (0, 0)),
        "var/run/ko/deep/page": (0o555, (0, 0)),
    }
    for path, (mode, owner) in expected.items():
        info = (root / path).lstat()
        assert stat.S_IMODE(info.st_mode) == mode, path
        if not os.geteuid():
            assert (info.st_uid, info.st_gid) == owner, path
    # Who is not root cannot set it.
    if not os.geteuid():
        assert os.getxattr(root / "ko-app/server", "security.capability") == NET_BIND_SERVICE
        assert os.listxattr(root / "ko-app/probe") == []


def skopeo(*arguments: str) -> Any:
    """What `skopeo` printed, as JSON; None if it printed nothing."""
    done = subprocess.run([tool("skopeo"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if arguments[-2] == "--config" else None


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_skopeo_finds_the_same_image_in_every_format(
    package: Path, architecture: str, tmp_path: Path
) -> None:
    sources = [f"oci:{package}", f"oci-archive:{package}/oci.tar"]
    sources.append(f"docker-archive:{package}/docker-linux-{architecture}.tar")
    configs = []
    for number, source in enumerate(sources):
        chosen = f"--override-arch={architecture}"
        configs.append(skopeo(chosen, "inspect", "--config", source))
        # It checks digests and diffIDs.
        skopeo(chosen, "copy", source, f"dir:{tmp_path}/{number}")
    assert configs[0] == configs[1] == configs[2]
    assert configs[0]["architecture"] == architecture
    assert configs[0]["config"] == {
        "User": "1000:2000",
        "WorkingDir": "/work",
        "Entrypoint": ["/ko-app/server", "serve"],
        "Cmd": ["--quietly", "a b"],
        "Env": [
            "PATH=/ko-app",
            "KO_DATA_PATH=/var/run/ko",
            "LEVEL=high",
            "CONFIG=/etc/app/app.yaml",
        ],
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
        "Labels": {"team": "shop"},
    }
    assert len(configs[0]["rootfs"]["diff_ids"]) == 5
