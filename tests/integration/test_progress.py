"""What a user sees while it takes long, and what happens when they end it."""

from __future__ import annotations

import signal
from typing import Callable, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
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
from integration.workspace import SMALL, Workspace, go_mod


@pytest.fixture(scope="module")
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


@pytest.fixture
def held(registry: FaultRegistry) -> Iterator[Held]:
    """The registry does not answer the upload of any large blob."""
    with held_requests(registry, is_large_upload) as held:
        yield held


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    registry: FaultRegistry,
    slow_proxy: tuple[str, Held],
) -> Workspace:
    workspace = make_workspace(
        "progress",
        options="progress_interval = 1\n",
        env={"KO_DOCKER_REPO": f"{registry.host}/team", "GOPROXY": slow_proxy[0]},
    )
    workspace.write(
        {
            "go.mod": go_mod("example.com/progress"),
            "app/BUILD": "go_oci_image(platforms=['linux/amd64', 'linux/arm64'])\n",
            **slow_program("example.com/never"),
        }
    )
    edit(workspace, "first")
    workspace.publish("app:").ok()
    return workspace


def edit(repo: Workspace, text: str) -> None:
    """Change the program."""
    repo.write({"app/main.go": SMALL.replace("small", text)})


def test_a_long_upload_says_which_image_it_is_and_how_far(
    repo: Workspace, registry: FaultRegistry, held: Held
) -> None:
    edit(repo, "said")
    client = Client(repo.start("publish", "app:"))
    assert held.asked.wait(SECONDS)
    line = client.wait_for("Uploading ")
    assert "Uploading app:app (linux/amd64, linux/arm64): " in line
    assert " MB, " in line
    held.release()
    assert client.process.wait(SECONDS) == 0, client.output
    client.wait_for("1 image: 1 pushed.")


def test_on_a_terminal_the_user_interface_of_pants_shows_an_upload(
    repo: Workspace, registry: FaultRegistry, held: Held
) -> None:
    edit(repo, "on a terminal")
    terminal = OnTerminal(repo, "publish", "app:")
    assert held.asked.wait(SECONDS)
    terminal.wait_for("Upload - app:app (linux/amd64, linux/arm64), ")
    held.release()
    assert terminal.process.wait(SECONDS) == 0, terminal.output
    terminal.wait_for("1 image: 1 pushed.")


def test_ctrl_c_on_a_terminal_says_what_is_where(
    repo: Workspace, registry: FaultRegistry, held: Held
) -> None:
    edit(repo, "ended on a terminal")
    terminal = OnTerminal(repo, "publish", "app:")
    assert held.asked.wait(SECONDS)
    terminal.wait_for("Upload - app:app")
    terminal.press_ctrl_c()
    assert terminal.process.wait(PROMPT_SECONDS) != 0
    terminal.wait_for("Interrupted: no tag has moved; ")
    terminal.wait_for("missing blobs are there by now")
    registry.on_request = lambda seen: None
    held.release()
    repo.publish("app:").ok()


@pytest.mark.parametrize(
    ("number", "group"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)]
)
def test_who_ends_a_run_in_the_middle_of_an_upload_is_told_what_is_where(
    repo: Workspace, registry: FaultRegistry, held: Held, number: int, group: bool
) -> None:
    edit(repo, f"ended {number} {group}")
    tag = dict(registry.tags)
    client = Client(repo.start("publish", "app:"))
    assert held.asked.wait(SECONDS)
    client.wait_for("Uploading ")
    output = client.end(number, group=group)
    if number == signal.SIGINT:
        assert "interrupted: no tag has moved; " in output
        assert "missing blobs are there by now" in output
        assert "Traceback" not in output
    assert registry.tags == tag
    registry.on_request = lambda seen: None
    held.release()
    run = repo.publish("app:").ok()
    assert registry.tags["team/app", "latest"] == run.images["app:app"]["digest"]
    assert registry.complete("team/app", "latest")


def test_ko_resolve_that_is_ended_moves_no_tag_behind_the_users_back(
    repo: Workspace, registry: FaultRegistry, held: Held
) -> None:
    edit(repo, "resolved")
    repo.write({"k8s.yaml": "image: ko://example.com/progress/app\n"})
    tag = dict(registry.tags)
    client = Client(repo.start("ko-resolve", "--files=k8s.yaml"))
    assert held.asked.wait(SECONDS)
    client.wait_for("Uploading ")
    client.end(signal.SIGINT)
    registry.on_request = lambda seen: None
    held.release()
    # The threads of the daemon have had the time of a run.
    assert repo.pants("list", "app:").exit_code == 0
    assert registry.tags == tag
    repo.publish("app:").ok()
    assert registry.complete("team/app", "latest")


def test_a_compile_that_is_ended_leaves_nothing_behind(
    repo: Workspace, slow_proxy: tuple[str, Held]
) -> None:
    _, asked = slow_proxy
    client = Client(repo.start("publish", "slow:"))
    assert asked.asked.wait(SECONDS)
    line = client.wait_for("Not done yet: ")
    assert "example.com/slow" in line
    client.end(signal.SIGINT)
    before = repo.maps()
    repo.publish("app:").ok()
    assert repo.maps() == before


def test_uploads_end_with_the_run_while_another_image_is_compiled(
    repo: Workspace, registry: FaultRegistry, held: Held, slow_proxy: tuple[str, Held]
) -> None:
    edit(repo, "two at once")
    _, asked = slow_proxy
    asked.asked.clear()
    client = Client(repo.start("publish", "app:", "slow:"))
    assert held.asked.wait(SECONDS)
    assert asked.asked.wait(SECONDS)
    assert "Uploading app:app (" in client.wait_for("Uploading ")
    output = client.end(signal.SIGINT)
    assert "Interrupted: no tag has moved; " in output

    registry.on_request = lambda seen: None
    held.release()
    repo.publish("app:").ok()
    assert registry.complete("team/app", "latest")
