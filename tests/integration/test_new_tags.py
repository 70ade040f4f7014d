"""Images that get a new tag and nothing else: one process for all, and a line for each.

Up to Pants 2.25. Newer versions look at the processes of all images before the first one runs.
"""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from integration.workspace import SMALL, Run, Workspace, go_mod

NAMES = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: FaultRegistry) -> Workspace:
    """A repository whose images are on the registry, with the tag `first`."""
    workspace = make_workspace(env={"KO_DOCKER_REPO": registry.host})
    targets = "".join(f"go_oci_image(name='{name}', image_tags=TAGS)\n" for name in NAMES)
    workspace.write(
        {
            "go.mod": go_mod("example.com/tags"),
            "main.go": SMALL,
            "BUILD": f"TAGS = [env('TAG', 'first'), 'latest-' + env('TAG', 'first')]\n{targets}",
        }
    )
    workspace.publish().ok()
    return workspace


def publish(repo: Workspace, tag: str) -> Run:
    """A run that logs which processes are started; a daemon does not."""
    return repo.publish(flags=["--no-pantsd", "-ldebug"], env={"TAG": tag})


def processes(run: Run) -> int:
    """How many processes the goal has run."""
    return run.stderr.count("Execute InteractiveProcess(")


def lines(run: Run, sign: str) -> list[str]:
    """What is said of images, behind a sign."""
    return sorted(line[2:] for line in run.stderr.splitlines() if line.startswith(sign))


def test_one_process_moves_the_tags_of_all_and_each_has_its_lines(
    repo: Workspace, registry: FaultRegistry
) -> None:
    run = publish(repo, "second").ok()
    assert processes(run) == 1
    said = "linux/amd64, only tags were missing."
    expected = []
    for name in NAMES:
        entry = run.images[f"//:{name}"]
        names = [f"{registry.host}/{name}:{tag}" for tag in ("second", "latest-second")]
        assert entry["names"] == names
        assert (entry["published"], entry["exit_code"]) == (True, 0)
        assert entry["status"] == f"published to {registry.host}: {said[:-1]}"
        assert entry["references"]
        assert registry.tags[name, "second"] == entry["digest"]
        short = entry["digest"][: len("sha256:") + 12]
        expected += [f"{n} as {short} published to {registry.host}: {said}" for n in names]
    assert lines(run, "✓") == sorted(expected)
    assert lines(run, "- ") == []


def test_an_image_that_is_refused_fails_and_the_others_do_not(
    repo: Workspace, registry: FaultRegistry
) -> None:
    registry.immutable_tags = True
    registry.tags["three", "third"] = f"sha256:{'0' * 64}"
    run = publish(repo, "third")
    assert run.exit_code == 1
    # That of the image itself, and one that speaks for the others.
    assert processes(run) == 2
    (first, second) = lines(run, "✕")
    assert first.startswith(f"{registry.host}/three:latest-third as sha256:")
    assert second.startswith(f"{registry.host}/three:third as sha256:")
    assert "immutable" in first
    assert len(lines(run, "✓")) == 2 * (len(NAMES) - 1)
    assert all("/three:" not in line for line in lines(run, "✓"))
    assert {n: run.images[f"//:{n}"]["published"] for n in NAMES} == {
        **dict.fromkeys(NAMES, True),
        "three": False,
    }
    assert run.images["//:three"]["exit_code"] == 1


def test_the_next_run_has_nothing_to_do(repo: Workspace, registry: FaultRegistry) -> None:
    run = publish(repo, "second").ok()
    assert processes(run) == 0
    assert len(lines(run, "- ")) == 2 * len(NAMES)
    assert all("up to date" in line for line in lines(run, "- "))
