"""A new tag on all images finds the images, and the files of their packages, of the last run.

Nothing is timed: calls and nodes of the engine are counted.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from call_counts import count_calls
from pants.core.goals.package import BuiltPackage
from pants.engine.addresses import Address
from pants.engine.fs import Digest, Snapshot
from pants.engine.rules import _uncacheable_rule, collect_rules
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, new_runner

from ko_pants.engine import publish_plans
from ko_pants.products import PublishPlan, PublishPlanRequest
from ko_pants.rules import built_inputs, image, image_documents
from ko_pants.target_types import GoOciImageFieldSet

MODULE = "example.com/tagged"
FEW, MANY = 3, 6

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")


@dataclass(frozen=True)
class PlansRequest:
    """Ask what is published of some images."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Plans:
    """That, for each."""

    plans: tuple[PublishPlan, ...]


@_uncacheable_rule
async def find_plans(request: PlansRequest) -> Plans:
    return Plans(await publish_plans(PublishPlanRequest(a) for a in request.addresses))


class Images:
    """A repo of images of a main package each, and an engine, as a daemon would have it."""

    def __init__(self, count: int) -> None:
        self.addresses = tuple(Address(f"services/s{n}") for n in range(count))
        self.runner: RuleRunner = new_runner(
            [
                (BuiltPackage, [GoOciImageFieldSet]),
                (Plans, [PlansRequest]),
                (Snapshot, [Digest]),
            ],
            rules=collect_rules(globals()),
        )
        self.runner.write_files({"go.mod": f"module {MODULE}\n\ngo 1.21\n"})
        for address in self.addresses:
            self.runner.write_files(
                {
                    f"{address.spec_path}/main.go": "package main\n\nfunc main() {}\n",
                    f"{address.spec_path}/BUILD": "go_oci_image()\n",
                }
            )
        self.give_fields("")

    def give_fields(self, fields: str) -> None:
        """Give the images these fields; their tag comes from the environment, as it does in CI."""
        self.runner.write_files(
            {
                "BUILD": "__defaults__({go_oci_image: dict(base_image='scratch', "
                f"platforms=['linux/amd64'], image_tags=[env('TAG')], {fields})}})\n"
            }
        )

    def run(self, tag: str) -> tuple[list[PublishPlan], list[BuiltPackage]]:
        """What a publish with this tag asks for, in a new run."""
        configure(self.runner, TAG=tag, PATH=os.environ["PATH"])
        # In the order of `publish`. A plan that is asked for first looks for its image while its
        # target is read; when the target is another one, the engine drops the image that it has.
        targets = [self.runner.get_target(address) for address in self.addresses]
        packages = [
            self.runner.request(BuiltPackage, [GoOciImageFieldSet.create(target)])
            for target in targets
        ]
        found = self.runner.request(Plans, [PlansRequest(self.addresses)])
        return list(found.plans), packages

    def nodes(self) -> int:
        """How many the engine's graph has."""
        return self.runner.scheduler.metrics()["resulting_graph_size"]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of what a new tag need not do."""
    found: Counter[str] = Counter()

    count_calls(monkeypatch, found, image, "compose")
    count_calls(monkeypatch, found, image_documents, "documents_of")
    count_calls(monkeypatch, found, built_inputs, "image_inputs")
    return found


def once_for_each(images: int) -> dict[str, int]:
    """Each of these has happened once for each image."""
    return {"compose": images, "documents_of": images, "image_inputs": images}


def test_a_new_tag_makes_no_image_and_no_file_again(counts: Counter[str]) -> None:
    images = Images(MANY)
    before, packages = images.run("one")
    assert counts == once_for_each(MANY)
    after, same_packages = images.run("two")
    assert counts == once_for_each(MANY)
    for old, new, address in zip(before, after, images.addresses):
        assert new.built == old.built
        assert new.inputs == old.inputs
        assert [d.tags for d in old.destinations] == [("one",)]
        assert [d.tags for d in new.destinations] == [("two",)]
        assert new.built.owner == str(address)
    assert packages == same_packages


def test_nor_of_images_that_share_a_prebuilt_file(counts: Counter[str]) -> None:
    images = Images(MANY)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    # An executable of x86-64, with no section and no segment.
    kind = b"\x02\0\x3e\0\x01\0\0\0".ljust(36, b"\0") + b"\x40\0\x38\0\0\0\x40\0\0\0\0\0"
    path = Path(images.runner.build_root, "bin", "app")
    path.parent.mkdir()
    path.write_bytes(header + kind)
    path.chmod(0o755)
    images.runner.write_files({"bin/BUILD": "file(name='app', source='app')\n"})
    images.give_fields("binary='//bin:app'")
    images.run("one")
    images.run("two")
    assert counts == once_for_each(MANY)


def test_the_files_are_those_of_the_image_after_an_edit(counts: Counter[str]) -> None:
    images = Images(1)
    (old,), (package,) = images.run("one")
    images.give_fields("user='2'")
    (new,), (other,) = images.run("two")
    assert counts == once_for_each(2)
    for plan, packed in ((old, package), (new, other)):
        files = images.runner.request(Snapshot, [packed.digest]).files
        digest = plan.built.image.descriptor.digest.partition(":")[2]
        assert f"services.s0/s0.image/blobs/sha256/{digest}" in files
        assert "services.s0/s0.image/image.json" in files


def test_twice_the_images_take_twice_the_nodes_for_a_new_tag() -> None:
    added = []
    for count in (FEW, MANY):
        images = Images(count)
        images.run("one")
        before = images.nodes()
        images.run("two")
        added.append(images.nodes() - before)
    few, many = added
    assert many <= 2 * few
