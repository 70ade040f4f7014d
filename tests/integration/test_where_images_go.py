"""Where images go, under what names and in what form: one workspace for all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from integration.podman import podman_command, skip_without_containers
from integration.published import published_on
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "go.mod": go_mod("example.com/Team/tools"),
            "cmd/App/main.go": SMALL,
            "cmd/App/BUILD": "go_oci_image(name='image')\n",
        }
    )
    return workspace


@pytest.mark.parametrize(
    ("naming", "expected"),
    [
        ("md5", "team/app-78b35505089fa103d71b5f0224389548"),
        ("preserve-import-paths", "team/example.com/team/tools/cmd/app"),
        ("base-import-paths", "team/app"),
        ("bare", "team"),
    ],
)
def test_the_names_of_ko(
    repo: Workspace, registry: RealRegistry, naming: str, expected: str
) -> None:
    run = repo.publish(
        f"--ko-naming={naming}", "cmd/App:", env={"KO_DOCKER_REPO": f"{registry.host}/team"}
    ).ok()
    image = run.images["cmd/App:image"]
    assert image["names"] == [f"{registry.host}/{expected}:latest"]


def test_references_of_images_that_are_pushed_or_up_to_date(
    repo: Workspace, registry: RealRegistry
) -> None:
    repo.write(
        {
            "two/main.go": SMALL.replace("small", "two"),
            "two/BUILD": (
                "go_oci_image(platforms=['linux/amd64', 'linux/arm64'])\n"
                "go_oci_image(name='not', skip_push=True)\n"
            ),
        }
    )
    file = repo.root / "dist" / "refs"
    place, two = f"{registry.host}/refs", ("cmd/App:", "two:")
    run = repo.publish(*two, flags=["--ko-image-refs=dist/refs"], env={"KO_DOCKER_REPO": place})
    run.ok()
    lines = file.read_text().splitlines()
    images = [run.images[name] for name in ("cmd/App:image", "two:two")]
    assert lines == [line for image in images for line in image["references"]]
    assert lines[0] == f"{place}/image@{images[0]['digest']}"
    assert lines[1] == f"{place}/two@{images[1]['digest']}"
    assert [line.partition("@")[0] for line in lines] == [f"{place}/image", *[f"{place}/two"] * 3]
    assert run.images["two:not"]["references"] == []

    # Nothing is pushed, and nobody asks for the output of Pants.
    file.unlink()
    flags = ("--ko-image-refs=dist/refs", "publish")
    run = repo.pants(*flags, *two, env={"KO_DOCKER_REPO": place}).ok()
    assert "up to date" in run.output
    assert file.read_text().splitlines() == lines
    # A run for fewer images, in the same daemon.
    repo.pants(*flags, "two:two", env={"KO_DOCKER_REPO": place}).ok()
    assert file.read_text().splitlines() == lines[1:]

    refused = repo.pants("--ko-tag-only", *flags, *two, env={"KO_DOCKER_REPO": place})
    assert refused.exit_code == 1
    assert "exactly one tag other than `latest`" in refused.output
    assert file.read_text().splitlines() == lines[1:]


def test_several_registries_without_repeated_work(
    repo: Workspace, registry: RealRegistry, tmp_path: Path
) -> None:
    repo.write(
        {
            "three/main.go": SMALL.replace("small", "three"),
            "three/BUILD": (
                "go_oci_image(name='all')\n"
                "go_oci_image(name='some', registries=['<all default registries>', '@third'])\n"
            ),
        }
    )
    with docker_registry(tmp_path) as other:
        registries = {
            "one": {"address": registry.host, "default": True, "repository": "several/{name}"},
            "two": {"address": other.host, "default": True, "extra_image_tags": ["nightly"]},
            "third": {"address": "registry.invalid", "skip_push": True},
        }
        flags = [f"--ko-registries={registries!r}"]
        first = repo.publish("three:", flags=flags).ok()
        # One executable and one layer (and that of the empty kodata, made before) for four images.
        made = [p for p in first.processes if p.startswith(("Compile", "Make layer"))]
        assert [p.split()[0] for p in made if "three" in p] == ["Compile", "Make"]
        digests = {
            published_on(registry.host, "several/all").digest,
            published_on(other.host, "all").digest,
            published_on(other.host, "some", "nightly").digest,
            published_on(registry.host, "several/some").digest,
        }
        assert digests == {first.images["three:all"]["digest"]}
        assert "registry.invalid/some:latest skipped (by `skip_push` on registry @third)" in (
            first.stderr
        )
        again = repo.publish("three:", flags=flags).ok()
        assert again.stderr.count("skipped up to date") == 6
        assert not again.processes


PRINTS = """package main

import "os"

func main() {
	content, err := os.ReadFile(os.Getenv("KO_DATA_PATH") + "/greeting")
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Stdout.Write(content)
	for _, argument := range os.Args[1:] {
		os.Stdout.WriteString(argument + "\\n")
	}
	os.Exit(5)
}
"""


@pytest.fixture(scope="module")
def program(repo: Workspace) -> str:
    """The address of an image that prints its kodata and its arguments, and exits with 5."""
    repo.write(
        {
            "prints/main.go": PRINTS,
            "prints/kodata/greeting": "hello\n",
            "prints/BUILD": "go_oci_image()\n",
        }
    )
    return "prints:prints"


def test_run_without_a_container(repo: Workspace, program: str) -> None:
    run = repo.pants("--ko-run-with=executable", "run", program, "--", "a", "--b=c d")
    assert run.exit_code == 5, run.output
    assert run.stdout == "hello\na\n--b=c d\n"


def test_run_with_podman(repo: Workspace, program: str, tmp_path: Path) -> None:
    with podman_command(tmp_path) as directory:
        path = f"{directory}:{repo.env['PATH']}"
        for _ in range(2):
            run = repo.pants("--ko-run-with=podman", "run", program, "--", "a", env={"PATH": path})
            skip_without_containers(run.exit_code, run.output)
            assert run.exit_code == 5, run.output
            assert run.stdout == "hello\na\n"


def test_images_are_loaded_where_the_registry_is_ko_local(
    repo: Workspace, program: str, tmp_path: Path
) -> None:
    with podman_command(tmp_path) as directory:
        env = {"PATH": f"{directory}:{repo.env['PATH']}", "KO_DOCKER_REPO": "ko.local"}
        flags = ["--ko-load-with=podman", "--ko-image-refs=dist/local"]
        run = repo.publish("cmd/App:", "two:", program, flags=flags, env=env).ok()
        two = run.images["two:two"]
        # The image is an index, and one of its platforms is loaded.
        assert two["platforms"] == ["linux/amd64"]
        assert two["names"] == ["ko.local/two:latest"]
        assert two["references"] == [f"ko.local/two:{two['digest'].partition(':')[2]}"]
        assert two["references"][0] in (repo.root / "dist" / "local").read_text().splitlines()
        again = repo.publish("cmd/App:", "two:", program, flags=flags, env=env).ok()
        assert "up to date" in again.images["two:two"]["status"]
        assert [again.images[name]["published"] for name in ("two:two", program)] == [False, False]
        # `run` finds what was loaded.
        ran = repo.pants("--ko-run-with=podman", "run", program, env=env)
        skip_without_containers(ran.exit_code, ran.output)
        assert (ran.exit_code, ran.stdout) == (5, "hello\n")
