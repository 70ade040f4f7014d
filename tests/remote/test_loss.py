"""A cache that fails in the middle of a run: the right images all the same, and one warning."""

from __future__ import annotations

import contextlib
import itertools
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
from integration.published import published_on
from integration.workspace import Run, Workspace
from real_registry import RealRegistry, docker_registry
from remote.fleet import cache_options, machine, third_party_proxy, write_monorepo
from remote.front import Fault, Front, reapi_server

SERVICES, PLATFORMS = 2, 1
NAMES = [f"svc-{number:03}" for number in range(SERVICES)]
# Executables and layers are larger, everything else is smaller: heads have 8 KiB.
LARGE = 200_000
LOST = "Pants cannot bring the result of a process: "


@dataclass
class World:
    """A filled cache, the machine that filled it, and what it published."""

    root: Path
    caches: Path
    builder: Workspace
    front: Front
    registry: RealRegistry
    digests: dict[str, str]
    env: dict[str, str]
    numbers: Iterator[int]

    @contextlib.contextmanager
    def fresh(self, behaviour: str = "defer", options: str = "") -> Iterator[Workspace]:
        """A machine that has the sources, and whatever Go has compiled before."""
        place = self.root / f"fresh-{next(self.numbers)}"
        pants = cache_options(self.front.address, behaviour)
        with machine(
            place,
            self.caches,
            checkout_of=self.builder,
            env=self.env,
            options=options,
            pants=pants,
        ) as made:
            yield made

    def on(self, pants: Workspace, repository: str, *targets: str) -> Run:
        """Publish on a machine."""
        env = {"KO_DOCKER_REPO": f"{self.registry.host}/{repository}"}
        return pants.publish(*targets, env=env, flags=("--no-pantsd",))

    def publish(self, behaviour: str = "defer") -> Run:
        """Publish all from a fresh machine to an empty place, and compare the images."""
        with self.fresh(behaviour) as pants:
            place = pants.root.parent.name
            run = self.on(pants, place).ok()
        assert self.digests_of(place) == self.digests
        return run

    def digests_of(self, repository: str) -> dict[str, str]:
        """The digests of the images, all of whose parts are there and right."""
        host = self.registry.host
        return {name: published_on(host, f"{repository}/{name}").digest for name in NAMES}


def warnings(run: Run) -> list[str]:
    """The warnings of a run, each without its beginning."""
    return [line.partition("[WARN] ")[2] for line in run.stderr.splitlines() if "[WARN] " in line]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> Iterator[World]:
    root = tmp_path_factory.mktemp("loss")
    proxy = third_party_proxy(root / "proxy")
    with docker_registry(root) as registry, reapi_server(root / "cache") as front:
        pants = cache_options(front.address)
        with machine(root / "one", caches, env=proxy.env, pants=pants) as builder:
            write_monorepo(builder, proxy, SERVICES, PLATFORMS)
            world = World(root, caches, builder, front, registry, {}, proxy.env, itertools.count())
            world.on(builder, "team").ok()
            world.digests = world.digests_of("team")
            yield world


@pytest.fixture
def world(filled: World) -> Iterator[World]:
    filled.front.forget()
    yield filled
    if filled.front.has_ended():
        filled.front.start()
    filled.front.fail()


def test_the_server_ends_when_it_is_asked_for_a_layer(world: World) -> None:
    """The executable of the layer is on the server, too."""
    world.front.fail(Fault(("Read",), kill=True, min_size=LARGE))
    run = world.publish()
    assert len(warnings(run)) == 1
    assert "Connection refused" in warnings(run)[0]
    assert {"Compile", "Make"} <= {name.split()[0] for name in run.processes}


def test_the_server_ends_when_it_is_asked_for_a_small_file(world: World) -> None:
    """Pants itself says that it can neither ask nor store, once each."""
    world.front.fail(Fault(("Read",), kill=True))
    ours, *pants = sorted(warnings(world.publish()), key=lambda line: LOST not in line)
    assert LOST in ours
    assert {line.partition(" (")[0] for line in pants} <= {
        "Failed to read from remote cache",
        "Failed to write to remote cache",
    }
    assert len(pants) <= 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(("Read",), damage=True),
        Fault(("Read",), code="PERMISSION_DENIED", min_size=LARGE),
    ],
    ids=["damaged", "not permitted"],
)
def test_blobs_cannot_be_read(world: World, fault: Fault) -> None:
    world.front.fail(fault)
    (warning,) = warnings(world.publish())
    assert LOST in warning


def test_executables_and_layers_are_gone(world: World) -> None:
    """Pants runs the processes again, and says so for each: no plugin can change that."""
    world.front.fail(Fault(("Read",), code="NOT_FOUND", min_size=LARGE))
    run = world.publish()
    assert all(line.startswith("Making attempt 1 to backtrack and retry") for line in warnings(run))
    made = [name for name in run.processes if name.startswith(("Compile", "Make layer of ex"))]
    assert len(made) == 2 * SERVICES * PLATFORMS


def test_blobs_are_gone_and_pants_asks_for_them(world: World) -> None:
    """`validate`: what is incomplete is not taken."""
    world.front.fail(Fault(("Read", "FindMissingBlobs"), code="NOT_FOUND", min_size=LARGE))
    run = world.publish(behaviour="validate")
    assert warnings(run) == []
    made = [name for name in run.processes if name.startswith(("Compile", "Make layer of ex"))]
    assert len(made) == 2 * SERVICES * PLATFORMS


def test_build_info_for_sboms_cannot_be_read(world: World) -> None:
    """It is larger than the output of a layer process, and smaller than the head of a program."""
    seen = []
    for faults in [(), (Fault(("Read",), code="PERMISSION_DENIED", min_size=250, max_size=4000),)]:
        world.front.fail(*faults)
        with world.fresh(options='sbom = ["spdx"]') as pants:
            run = world.on(pants, pants.root.parent.name).ok()
        # Not their bytes: who sends the blob that they share is a matter of luck.
        found = [entry["artifacts"] for _, entry in sorted(run.images.items())]
        seen.append([[artifact["digest"] for artifact in each] for each in found])
        assert [LOST in line for line in warnings(run)] == [True] * len(faults)
    assert seen[0] == seen[1] != [[]] * SERVICES


def test_results_are_damaged(world: World) -> None:
    world.front.fail(Fault(("GetActionResult",), damage=True))
    (warning,) = warnings(world.publish())
    assert warning.startswith("Failed to read from remote cache (1 occurrences so far): Internal")


def test_the_server_stores_nothing(world: World) -> None:
    """A quota: Pants tries each write three times."""
    writes = ("Write", "BatchUpdateBlobs", "UpdateActionResult")
    world.front.fail(
        Fault(writes, code="RESOURCE_EXHAUSTED"),
        Fault(("GetActionResult",), code="NOT_FOUND"),
    )
    (warning,) = warnings(world.publish())
    assert warning.startswith("Failed to write to remote cache (1 occurrences so far): ")


def test_a_server_that_takes_its_time_is_waited_for(world: World) -> None:
    """No process is begun here and broken off."""
    world.front.fail(Fault(("GetActionResult", "Read"), delay=0.2))
    run = world.publish()
    assert (run.processes, warnings(run)) == ([], [])


def test_a_server_that_takes_too_long_is_not_waited_for(world: World) -> None:
    world.front.fail(Fault(("GetActionResult",), delay=30))
    run = world.publish()
    assert warnings(run) == []
    assert {"Compile", "Make"} <= {name.split()[0] for name in run.processes}


def test_files_of_another_backend_are_lost(world: World) -> None:
    """What another backend made is not ours to make again: an error says what to do."""
    world.builder.write(
        {
            "files/data.bin": random.Random(1).randbytes(2 * LARGE),
            "files/BUILD": "file(name='data', source='data.bin')\n"
            "archive(name='tar', format='tar', files=[':data'])\n"
            "oci_files(name='layer', targets=[':tar'], at='/srv')\n",
            "svc-001/BUILD": "go_oci_image(files=['files:layer'])\n",
        }
    )
    world.on(world.builder, "team", "svc-001:").ok()
    world.front.fail(Fault(("Read",), kill=True, min_size=LARGE))
    with world.fresh() as fresh:
        (error,) = world.on(fresh, "lost", "svc-001:").errors
    assert "Connection refused" in error
    assert "of another backend" in error
    assert "--no-local-cache --no-remote-cache-read" in error
