"""All images of a run are asked for at once, where each needs a token and threads are few.

The next run of the daemon asks over the connections of the last one.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Callable, Iterator

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from integration.workspace import SMALL, Workspace, go_mod
from registry_support import auth_env

# No more than the threads of a run.
IMAGES = 8
SECONDS = 60.0


class Meeting:
    """Holds the questions for manifests until those of all images are open."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(IMAGES, timeout=SECONDS)

    @property
    def failed(self) -> bool:
        """True if a question waited in vain."""
        return self._barrier.broken

    def __call__(self, seen: Seen) -> None:
        """Hold a request that has its token."""
        if seen.endpoint == "HEAD manifest" and "Authorization" in seen.headers:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._barrier.wait()


@pytest.fixture(scope="module")
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as running:
        running.auth = "bearer"
        yield running


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    registry: FaultRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    """A repository whose images are on the registry."""
    config = auth_env(tmp_path_factory.mktemp("config"), registry.host)["DOCKER_CONFIG"]
    workspace = make_workspace(
        env={"KO_DOCKER_REPO": f"{registry.host}/team", "DOCKER_CONFIG": config}
    )
    workspace.configure(pants="rule_threads_core = 2")
    workspace.write({"go.mod": go_mod("example.com/apps")})
    # A program for each image: a new daemon then needs a while from one image to the next.
    for n in range(IMAGES):
        workspace.write({f"app{n}/main.go": SMALL, f"app{n}/BUILD": "go_oci_image()\n"})
    workspace.publish().ok()
    return workspace


@pytest.mark.parametrize("daemon", ["as it is", "new"])
def test_no_question_waits_for_the_answer_to_another(
    repo: Workspace, registry: FaultRegistry, daemon: str
) -> None:
    if daemon == "new":
        repo.end_daemon()
    registry.seen.clear()
    meeting = registry.on_request = Meeting()
    run = repo.publish().ok()
    assert not meeting.failed
    assert len(run.images) == IMAGES
    assert all("up to date" in entry["status"] for entry in run.images.values())
    assert registry.count("PUT tag") == 0


def test_a_run_opens_no_connection(repo: Workspace, registry: FaultRegistry) -> None:
    registry.on_request = lambda seen: None
    opened: list[int] = []
    # A run in which more are open at a time than in those before opens some.
    while len(opened) < 5 and 0 not in opened:
        before = registry.connections
        registry.seen.clear()
        repo.publish().ok()
        assert registry.count("HEAD manifest") >= IMAGES
        opened.append(registry.connections - before)
    assert 0 in opened
