"""What is asked of a destination, and how little."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from publishing.publish_runs import Run, new_memory
from publishing.published_images import app
from registry_support import client_for

from ko_pants.errors import KoPantsError
from ko_pants.publishing.run import PublishRun
from ko_pants.registry.client import RegistryClient

SECONDS = 60.0


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def endpoints(registry: FaultRegistry) -> list[str]:
    return [seen.endpoint for seen in registry.seen]


def test_an_unchanged_image_costs_one_request(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.seen.clear()
    done = Run(tmp_path, registry).publish(image)
    assert endpoints(registry) == ["HEAD manifest"]
    assert done.requests == 1
    assert done.found.up_to_date
    assert done.found.missing_layers == ()
    assert all(done.outcome(d) == ("reused", 0) for d in image.image.blobs())


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # HEAD of the tag that names it shows that the image is there.
        (["v1", "v2"], ["HEAD manifest", "HEAD manifest", "PUT tag"]),
        (["v2"], ["HEAD manifest", "HEAD manifest", "PUT tag"]),
    ],
)
def test_a_new_tag_of_an_image_that_is_there_is_one_put(
    registry: FaultRegistry, tmp_path: Path, tags: list[str], expected: list[str]
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.seen.clear()
    found = Run(tmp_path, registry).publish(image, tags=tags).found
    assert endpoints(registry) == expected
    assert found.present
    assert found.stale_tags == ("v2",)
    assert registry.tags["app", "v2"] == image.digest


@pytest.mark.parametrize(("tags"), [["v1", "v2"], ["v2"]])
def test_memory_of_the_last_run_saves_a_question(
    registry: FaultRegistry, tmp_path: Path, tags: list[str]
) -> None:
    memory = new_memory()
    image = app(tmp_path)
    Run(tmp_path, registry, memory).publish(image)
    registry.seen.clear()
    Run(tmp_path, registry, memory).publish(image, tags=tags)
    assert endpoints(registry) == ["HEAD manifest", "PUT tag"]
    assert registry.tags["app", "v2"] == image.digest
    registry.seen.clear()
    Run(tmp_path, registry, memory).publish(image, tags=tags)
    assert endpoints(registry) == ["HEAD manifest"] * len(tags)


def test_memory_decides_nothing(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    image = app(tmp_path)
    Run(tmp_path, registry, memory).publish(image)
    # Somebody empties the registry meanwhile.
    registry.tags.clear()
    registry.manifests.clear()
    registry.blobs.clear()
    Run(tmp_path, registry, memory).publish(image, tags=["v1", "v2"])
    assert registry.complete("app", "v1")
    assert registry.complete("app", "v2")


def test_a_tag_that_another_moved_is_moved_back(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path, registry, memory).publish(ours)
    Run(tmp_path, registry).publish(theirs)
    assert registry.tags["app", "v1"] == theirs.digest
    done = Run(tmp_path, registry, memory).publish(ours)
    assert done.found.present
    assert registry.tags["app", "v1"] == ours.digest


def test_begun_checks_are_asked_together(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    checks = [
        run.run.checks.begin(run.publication(app(tmp_path, f"app{n}"), f"app{n}")) for n in range(4)
    ]
    assert run.run.begun == 4
    assert registry.seen == []
    for check in checks:
        found = run.run.checks.finish(check)
        assert found.stale_tags == ("v1",)
        assert len(found.missing) == 5


def test_answers_are_awaited_for_all_that_were_asked(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    publications = [run.publication(app(tmp_path, f"app{n}"), f"app{n}") for n in range(4)]
    pending = [run.run.checks.begin(publication) for publication in publications[:3]]
    run.run.checks.ask()
    run.run.checks.await_answers(SECONDS)
    assert all(check.done for check in pending)
    # Another one has begun: it has to be asked before it is waited for.
    last = run.run.checks.begin(publications[3])
    run.run.checks.await_answers(SECONDS)
    assert not last.done
    run.run.checks.ask()
    run.run.checks.await_answers(SECONDS)
    assert last.done


def test_who_waits_for_answers_is_told_of_images_that_begin(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    asked, answer = threading.Event(), threading.Event()

    def hold(seen: Seen) -> None:
        asked.set()
        answer.wait(SECONDS)

    registry.on_request = hold
    first = run.run.checks.begin(run.publication(app(tmp_path, "app0"), "app0"))
    run.run.checks.ask()
    assert asked.wait(SECONDS)
    waits = threading.Thread(target=run.run.checks.await_answers, args=(SECONDS,))
    waits.start()
    second = run.run.checks.begin(run.publication(app(tmp_path, "app1"), "app1"))
    waits.join(SECONDS / 2)
    ended = not waits.is_alive()
    answer.set()
    assert ended
    assert run.run.checks.finish(first).stale_tags == run.run.checks.finish(second).stale_tags


def test_what_is_missing_is_in_the_order_of_the_image(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    assert list(Run(tmp_path, registry).check(image).missing) == list(image.image.blobs())


def test_a_registry_that_cannot_be_asked_is_named(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.fail("HEAD manifest", "410", None, "DENIED")
    with pytest.raises(KoPantsError, match=registry.host):
        Run(tmp_path, registry).check(app(tmp_path))


def test_what_a_run_only_saw_is_remembered_too(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    assert Run(tmp_path, registry, memory).check(image).up_to_date
    registry.seen.clear()
    Run(tmp_path, registry, memory).publish(image, tags=["v1", "v2"])
    assert endpoints(registry) == ["HEAD manifest", "PUT tag"]


def test_memory_of_another_image_saves_no_question(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    old, new = app(tmp_path, "old"), app(tmp_path, "new")
    Run(tmp_path, registry, memory).publish(old)
    # Somebody else publishes the new image meanwhile.
    Run(tmp_path, registry).publish(new, tags=["v2"])
    found = Run(tmp_path, registry, memory).check(new, tags=["v1", "v2"])
    assert found.stale_tags == ("v1",)


def test_a_guess_from_memory_is_no_answer(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    old, new = app(tmp_path, "old"), app(tmp_path, "new")
    Run(tmp_path, registry, memory).publish(old)
    # Somebody else publishes the new image meanwhile, and the registry lacks what it was asked for.
    Run(tmp_path, registry).publish(new)
    del registry.blobs["app", new.kodata]
    found = Run(tmp_path, registry, memory).check(new)
    assert found.up_to_date
    assert found.missing == {}


def test_a_question_that_does_not_matter_fails_nothing(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    memory = new_memory()
    old, new = app(tmp_path, "old"), app(tmp_path, "new")
    Run(tmp_path, registry, memory).publish(old)
    registry.fail("HEAD blob", "410", None, "DENIED")
    # The image is not there, so its blobs matter.
    with pytest.raises(KoPantsError, match=registry.host):
        Run(tmp_path, registry, memory).check(new)
    registry.heal()
    Run(tmp_path, registry).publish(new)
    registry.fail("HEAD blob", "410", None, "DENIED")
    assert Run(tmp_path, registry, memory).check(new).up_to_date


def test_layers_that_the_registry_has_lost_since_are_found_out(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    memory = new_memory()
    old, new = app(tmp_path, "old"), app(tmp_path, "new")
    Run(tmp_path, registry, memory).publish(old)
    del registry.blobs["app", new.kodata]
    done = Run(tmp_path, registry, memory).publish(new)
    assert done.outcome(new.kodata)[0] == "uploaded"
    assert registry.complete("app", "v1")


def test_64_checks_are_asked_without_waiting_for_more(tmp_path: Path) -> None:
    run = Run(tmp_path)
    image = app(tmp_path)
    checks = [
        run.run.checks.begin(run.publication(image, f"app{n}", target=f"//:{n}")) for n in range(63)
    ]
    assert not any(check.tasks.wait(0) for check in checks)
    checks.append(run.run.checks.begin(run.publication(image, "app63", target="//:63")))
    assert all(check.tasks.wait(SECONDS) for check in checks)


def test_the_questions_for_one_registry_are_sent_in_a_row(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[list[str]] = []
    head_manifests: Callable[..., Any] = RegistryClient.head_manifests

    def counted(self: RegistryClient, questions: Sequence[tuple[object, object, str]]) -> Any:
        rows.append([str(reference) for _, reference, _ in questions])
        return head_manifests(self, questions)

    monkeypatch.setattr(RegistryClient, "head_manifests", counted)
    run = Run(tmp_path, registry)
    run.run = PublishRun(client_for({}), layout_root=str(tmp_path), memory=new_memory(), threads=1)
    image = app(tmp_path)
    checks = [run.run.checks.begin(run.publication(image, f"app{n}")) for n in range(4)]
    assert all(run.run.checks.finish(check).stale_tags == ("v1",) for check in checks)
    assert rows == [[f"{registry.host}/app{n}:v1" for n in range(4)]]


def test_each_of_two_registries_is_asked_for_its_own_images(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    with fault_registry() as other:
        image = app(tmp_path)
        run = Run(tmp_path, registry)
        run.run = PublishRun(
            client_for({}), layout_root=str(tmp_path), memory=new_memory(), threads=1
        )
        # In the second round the client knows both registries, and sends questions in rows.
        for repository in ("first", "second"):
            Run(tmp_path, other).publish(image, repository)
            checks = []
            for run.registry in (registry, other):
                checks.append(run.run.checks.begin(run.publication(image, repository)))
            here, there = map(run.run.checks.finish, checks)
            assert here.stale_tags == ("v1",)
            assert there.up_to_date


def test_a_registry_that_does_not_answer_simply_is_asked_again(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    tags = ["v1", "v2", "v3"]
    Run(tmp_path, registry).publish(image, tags=tags)
    # Its replies to HEAD do not tell the digest.
    registry.head_digest = False
    assert Run(tmp_path, registry).check(image, tags=tags).up_to_date


def test_waiting_for_a_check_of_a_closed_run_raises(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    check = run.run.checks.begin(run.publication(app(tmp_path)))
    run.run.close()
    run.run.checks.ask()
    with pytest.raises(InterruptedError):
        check.tasks.wait(SECONDS)
    assert registry.seen == []


def test_waiting_for_a_check_raises_any_fault_of_its_request(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def head_manifests(self: RegistryClient, questions: object) -> object:
        raise OSError("too many open files")

    monkeypatch.setattr(RegistryClient, "head_manifests", head_manifests)
    run = Run(tmp_path, registry)
    check = run.run.checks.begin(run.publication(app(tmp_path)))
    run.run.checks.ask()
    with pytest.raises(OSError, match="too many open files"):
        check.tasks.wait(SECONDS)
