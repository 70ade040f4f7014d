"""After kill -9 during a publish, each tag names a complete image, and the next run succeeds.

`KO_PANTS_KILLS` is the number of kills (default 4), `KO_PANTS_KILL_SEED` repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest
from integration.published import Published, has_tag, published_on
from integration.workspace import SMALL, Workspace, go_mod, is_running, wait_until
from real_registry import RealRegistry, docker_registry

PLATFORMS = ["linux/amd64", "linux/arm64"]
NAMES = ["a", "b", "c", "d"]
KILLS = int(os.environ.get("KO_PANTS_KILLS", "4"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    workspace = make_workspace(env={"KO_DOCKER_REPO": f"{registry.host}/kill"})
    files = {"go.mod": go_mod("example.com/kill")}
    for name in NAMES:
        files[f"{name}/BUILD"] = f"go_oci_image(platforms={PLATFORMS!r})\n"
    workspace.write(files)
    return workspace


def test_a_tag_always_names_a_whole_image(repo: Workspace, registry: RealRegistry) -> None:
    seed = int(os.environ.get("KO_PANTS_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"KO_PANTS_KILL_SEED={seed}")
    chance = random.Random(seed)
    edit(repo, 0)
    publish_all(repo, registry)
    # How long a run with a warm daemon takes, and how many requests it makes.
    edit(repo, 1)
    before, started = len(registry.requests()), time.monotonic()
    images = publish_all(repo, registry)
    seconds = time.monotonic() - started
    requests = len(registry.requests()) - before

    for number in range(2, KILLS + 2):
        edit(repo, number)
        done = kill_while_publishing(repo, registry, chance, seconds, requests)
        # Every tag names the old image or the new one. Reading it checks that it is complete.
        for name in NAMES:
            assert has_tag(registry.host, f"kill/{name}", "latest")
            found = published_on(registry.host, f"kill/{name}")
            if done or found.digest != images[name].digest:
                assert f"{name} {number}".encode() in found.manifests[0].executable()
        images = publish_all(repo, registry)
        for name in NAMES:
            for manifest in images[name].manifests:
                assert f"{name} {number}".encode() in manifest.executable()

    leftovers = [line for line in processes() if str(repo.root) in line and "ko-publish" in line]
    assert leftovers == []


def edit(repo: Workspace, number: int) -> None:
    """Change every program."""
    repo.write({f"{name}/main.go": SMALL.replace("small", f"{name} {number}") for name in NAMES})


def publish_all(repo: Workspace, registry: RealRegistry) -> dict[str, Published]:
    """Publish without a kill; returns the image that each tag names then."""
    run = repo.publish("::").ok()
    images = {name: published_on(registry.host, f"kill/{name}") for name in NAMES}
    assert {name: image.digest for name, image in images.items()} == {
        name: run.images[f"{name}:{name}"]["digest"] for name in NAMES
    }
    return images


def kill_while_publishing(
    repo: Workspace,
    registry: RealRegistry,
    chance: random.Random,
    seconds: float,
    requests: int,
) -> bool:
    """Publish, and kill the daemon and perhaps the client after some time or some requests.

    True if the client said that all is published.
    """
    (daemon,) = repo.daemon_pids()
    seen = len(registry.requests())
    # A client that is not killed starts another daemon, and publishes with it.
    with_client = chance.random() < 0.75
    client = repo.start("publish", "::")
    try:
        if chance.random() < 0.25:
            delay = chance.uniform(0, seconds)
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(delay)
            moment = f"after {delay:.2f} s"
        else:
            wanted = chance.randint(1, requests)
            wait_until(
                lambda: len(registry.requests()) - seen >= wanted or client.poll() is not None,
                "requests",
            )
            moment = f"after {wanted} of about {requests} requests"
        if with_client:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: not is_running(daemon), "pantsd to end")
        output = client.communicate(timeout=200)[0].decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGKILL)
    done = client.returncode == 0
    print(f"kill of daemon{' and client' if with_client else ''} {moment}, done: {done}\n{output}")
    return done


def processes() -> list[str]:
    """The command line and working directory of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            found.append(f"{os.readlink(path / 'cwd')} {line}")
    return found
