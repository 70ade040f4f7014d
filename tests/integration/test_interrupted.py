"""What a user reads who ends a run without a daemon, or while tags move, and what is left then."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Callable, Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from integration.clients import (
    PROMPT_SECONDS,
    SECONDS,
    Client,
    Held,
    OnTerminal,
    held_requests,
    is_large_upload,
    slow_program,
)
from integration.workspace import SMALL, Workspace, go_mod, wait_until

ALONE = "--no-pantsd"


@pytest.fixture(scope="module")
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


@pytest.fixture
def hold(registry: FaultRegistry) -> Iterator[Callable[[Callable[[Seen], bool]], Held]]:
    """Has the registry answer no request that a function picks."""
    with contextlib.ExitStack() as stack:
        yield lambda picks: stack.enter_context(held_requests(registry, picks))


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    registry: FaultRegistry,
    slow_proxy: tuple[str, Held],
) -> Workspace:
    workspace = make_workspace(
        "interrupted",
        options="progress_interval = 1\n",
        env={"KO_DOCKER_REPO": f"{registry.host}/team", "GOPROXY": slow_proxy[0]},
    )
    workspace.write(
        {
            "go.mod": go_mod("example.com/interrupted"),
            "app/BUILD": "go_oci_image()\n",
            "other/BUILD": "go_oci_image()\n",
            **slow_program("example.com/nowhere"),
        }
    )
    edit(workspace, "first")
    workspace.publish("app:", "other:", flags=[ALONE]).ok()
    return workspace


def edit(repo: Workspace, text: str) -> None:
    """Change the programs."""
    for name in ("app", "other"):
        repo.write({f"{name}/main.go": SMALL.replace("small", f"{name} {text}")})


def processes_of(repo: Workspace) -> list[str]:
    """The processes that know of the directories of a workspace, such as Pants and sandboxes."""
    wanted = os.fsencode(repo.root)
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            known = command + (place / "environ").read_bytes() + os.readlink(place / "cwd").encode()
        except OSError:
            continue
        if wanted in known:
            found.append(f"{place.name} {os.fsdecode(command)[:200]}")
    return found


def assert_nothing_runs(repo: Workspace) -> None:
    """Nothing that the run has started outlives it."""
    wait_until(
        lambda: not processes_of(repo), f"the end of {processes_of(repo)}", seconds=PROMPT_SECONDS
    )


def test_ctrl_c_without_a_daemon_in_the_middle_of_an_upload(
    repo: Workspace, registry: FaultRegistry, hold: Callable[[Callable[[Seen], bool]], Held]
) -> None:
    edit(repo, "uploaded")
    tags = dict(registry.tags)
    held = hold(is_large_upload)
    client = Client(repo.start(ALONE, "publish", "app:"))
    assert held.asked.wait(SECONDS)
    client.wait_for("Uploading app:app (linux/amd64): ")
    output = client.end(signal.SIGINT, group=True)
    assert "interrupted: no tag has moved; 1 of 2 missing blobs are there by now" in output
    assert "Interrupted by user" in output
    assert "Traceback" not in output
    assert_nothing_runs(repo)
    held.release()
    registry.on_request = lambda seen: None
    assert registry.tags == tags
    repo.publish("app:", flags=[ALONE]).ok()
    assert registry.complete("team/app", "latest")
    assert registry.tags["team/app", "latest"] != tags["team/app", "latest"]


def test_ctrl_c_without_a_daemon_on_a_terminal(
    repo: Workspace, registry: FaultRegistry, hold: Callable[[Callable[[Seen], bool]], Held]
) -> None:
    edit(repo, "uploaded on a terminal")
    tags = dict(registry.tags)
    held = hold(is_large_upload)
    terminal = OnTerminal(repo, ALONE, "publish", "app:")
    assert held.asked.wait(SECONDS)
    terminal.wait_for("Upload - app:app (linux/amd64), ")
    terminal.press_ctrl_c()
    assert terminal.process.wait(PROMPT_SECONDS) != 0
    # Who says it is in time, if the process of the image has not begun.
    wait_until(lambda: "nterrupted: no tag has moved; " in terminal.output, terminal.output)
    assert "Traceback" not in terminal.output
    assert_nothing_runs(repo)
    assert registry.tags == tags


def test_ctrl_c_without_a_daemon_in_the_middle_of_a_compile(
    repo: Workspace, slow_proxy: tuple[str, Held]
) -> None:
    _, proxy = slow_proxy
    client = Client(repo.start(ALONE, "publish", "slow:"))
    assert proxy.asked.wait(SECONDS)
    client.wait_for("Not done yet: ")
    output = client.end(signal.SIGINT)
    assert "Interrupted by user" in output
    assert "Traceback" not in output
    assert_nothing_runs(repo)


@pytest.mark.parametrize("flags", [(), (ALONE,)], ids=["daemon", "no daemon"])
def test_ctrl_c_while_tags_move(
    repo: Workspace,
    registry: FaultRegistry,
    hold: Callable[[Callable[[Seen], bool]], Held],
    flags: Sequence[str],
) -> None:
    edit(repo, f"tagged {flags}")
    tags = dict(registry.tags)
    held = hold(lambda seen: seen.endpoint == "PUT tag" and "team/app/" in seen.path)
    client = Client(repo.start(*flags, "publish", "app:", "other:"))
    assert held.asked.wait(SECONDS)
    other = ("team/other", "latest")
    wait_until(lambda: registry.tags[other] != tags[other], "the other tag")
    output = client.end(signal.SIGINT)
    assert (
        "interrupted: the tags of 1 of 2 images have moved; those of app:app were on their way, "
        "and no answer has come; all images are there, and the next run moves the tags that have "
        "not moved" in output
    )
    assert "Traceback" not in output
    assert registry.tags["team/app", "latest"] == tags["team/app", "latest"]

    # Whether the registry has done what it was told is for the registry to say.
    asked = [seen for seen in registry.seen if seen.endpoint == "PUT tag"]
    registry.on_request = lambda seen: None
    held.release()
    run = repo.publish("app:", "other:", flags=flags).ok()
    for name in ("app", "other"):
        digest = run.images[f"{name}:{name}"]["digest"]
        assert registry.tags[f"team/{name}", "latest"] == digest
        assert registry.complete(f"team/{name}", "latest")
    assert run.images["other:other"]["requests"] == 1
    moved = [seen for seen in registry.seen if seen.endpoint == "PUT tag"][len(asked) :]
    assert len(moved) <= 1
