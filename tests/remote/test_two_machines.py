"""What one machine compiled, another takes from a remote cache: no process runs there.

`KO_PANTS_FLEET=12x5` sets services and platforms; by default they are few, for a test run.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from integration.published import Published, published_on
from integration.traffic import Traffic
from integration.workspace import Run, Workspace
from real_registry import RealRegistry, docker_registry
from remote.fleet import (
    cache_options,
    machine,
    other_goroot,
    third_party_proxy,
    write_monorepo,
)
from remote.front import CachedProcess, Call, Front, reapi_server, statuses

SERVICES, PLATFORMS = map(int, os.environ.get("KO_PANTS_FLEET", "3x2").split("x"))
NAMES = [f"svc-{number:03}" for number in range(SERVICES)]
# One for each platform of a service; kodata is one for all.
EXECUTABLES, LAYERS = SERVICES * PLATFORMS, SERVICES * PLATFORMS + SERVICES


@dataclass(frozen=True)
class Seen:
    """A run of a machine, and what registry and cache saw of it."""

    run: Run
    calls: list[Call]
    stored: list[CachedProcess]
    requests: list[list[str]]
    images: dict[str, Published]


@dataclass(frozen=True)
class Fleet:
    """One machine that builds, and two fresh ones: with the same registry, and an empty one."""

    builder: Seen
    fresh: Seen
    elsewhere: Seen


def _publish(
    pants: Workspace, registry: RealRegistry, front: Front, repository: str = "team"
) -> Seen:
    front.forget()
    traffic = Traffic(registry)
    run = pants.publish("::", env={"KO_DOCKER_REPO": f"{registry.host}/{repository}"}).ok()
    calls, requests = front.calls(), [traffic.of(f"{repository}/{name}") for name in NAMES]
    images = {name: published_on(registry.host, f"{repository}/{name}") for name in NAMES}
    return Seen(run, calls, front.stored_processes(), requests, images)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("fleet")
    proxy = third_party_proxy(root / "proxy")
    with docker_registry(root) as registry, reapi_server(root / "cache") as front:
        pants = cache_options(front.address)
        with machine(root / "one", caches, env=proxy.env, pants=pants) as builder:
            write_monorepo(builder, proxy, SERVICES, PLATFORMS)
            built = _publish(builder, registry, front)
            goroot = other_goroot(root / "two" / "go")
            where = f'go_search_paths = ["{goroot}/bin"]'
            with machine(
                root / "two" / "deeper" / "down",
                root / "two" / "named",
                checkout_of=builder,
                env=proxy.env,
                options=where,
                pants=pants,
            ) as two:
                fresh = _publish(two, registry, front)
                (link,) = (root / "two" / "named" / "ko_pants_go").glob("go*[0-9a-f]")
                assert os.readlink(link) == str(goroot)
            with machine(
                root / "three",
                root / "three" / "named",
                checkout_of=builder,
                env=proxy.env,
                pants=pants,
            ) as three:
                yield Fleet(built, fresh, _publish(three, registry, front, "elsewhere"))


def _explain(differing: CachedProcess, known: Sequence[CachedProcess]) -> str:
    """How a process that no machine had run before differs from the most similar one."""

    def lines(process: CachedProcess) -> list[str]:
        env = (f"env {name}={value}" for name, value in sorted(process.env.items()))
        return [f"input {process.input}", *(f"argv {word}" for word in process.argv), *env]

    def likeness(process: CachedProcess) -> float:
        return difflib.SequenceMatcher(None, lines(process), lines(differing)).ratio()

    nearest = max(known, key=likeness)
    diff = difflib.unified_diff(lines(nearest), lines(differing), "one", "two", lineterm="")
    return "\n".join(diff)


def test_every_process_has_the_same_key_on_each_machine(fleet: Fleet) -> None:
    known = {process.action for process in fleet.builder.stored}
    assert len(known) >= EXECUTABLES + LAYERS - SERVICES + 1
    differing = [p for p in fleet.fresh.stored + fleet.elsewhere.stored if p.action not in known]
    assert not differing, "\n\n".join(_explain(p, fleet.builder.stored) for p in differing)
    for seen in (fleet.fresh, fleet.elsewhere):
        asked = {call.digest for call in seen.calls if call.method == "GetActionResult"}
        assert asked == known


def test_nothing_runs_on_a_fresh_machine(fleet: Fleet) -> None:
    for seen in (fleet.fresh, fleet.elsewhere):
        assert set(statuses(seen.calls, "GetActionResult")) == {"OK"}
        assert not statuses(seen.calls, "UpdateActionResult")
        assert seen.run.processes == []
        for entry in seen.run.images.values():
            assert {tuple(s.values()) for s in entry["build"].values()} == {("remote cache",) * 2}


def test_little_is_fetched_where_the_registry_has_the_images(fleet: Fleet) -> None:
    assert sum(call.down for call in fleet.fresh.calls) < 1_000_000
    assert sum(call.up for call in fleet.fresh.calls) < 1_000_000
    assert fleet.fresh.requests == [["HEAD manifests 200"]] * len(NAMES)


def test_an_empty_registry_gets_the_layers_and_no_executable_is_fetched(fleet: Fleet) -> None:
    uploaded = sum(
        layer["bytes"]
        for entry in fleet.elsewhere.run.images.values()
        for layer in entry["layers"]
        if layer["outcome"] == "uploaded"
    )
    assert uploaded > 0
    fetched = sum(call.size for call in fleet.elsewhere.calls if call.method == "Read")
    assert uploaded <= fetched < uploaded + 1_000_000


def test_the_images_are_the_same_bytes(fleet: Fleet) -> None:
    for name in NAMES:
        images = [seen.images[name] for seen in (fleet.builder, fleet.fresh, fleet.elsewhere)]
        assert len(images[0].manifests) == PLATFORMS
        assert images[0] == images[1] == images[2]


def test_what_each_machine_asks_for(fleet: Fleet) -> None:
    """One question for each process. Prints the table of docs/remote-cache.md (`-rP`)."""
    print("| machine | processes | hits | requests to the cache | MB up | MB down | registry |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in ("builder", "fresh", "elsewhere"):
        seen: Seen = getattr(fleet, name)
        questions = [call for call in seen.calls if call.method == "GetActionResult"]
        assert len(questions) == len({call.digest for call in questions})
        hits = sum(call.status == "OK" for call in questions)
        print(
            f"| {name} | {len(seen.run.processes)} | {hits} | {len(seen.calls)} "
            f"| {sum(call.up for call in seen.calls) / 1e6:.2f} "
            f"| {sum(call.down for call in seen.calls) / 1e6:.2f} "
            f"| {sum(map(len, seen.requests))} |"
        )
