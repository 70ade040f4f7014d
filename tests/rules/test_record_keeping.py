"""What records cost, and what is in them: counted, and against a real engine and Go."""

from __future__ import annotations

import functools
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.rules import _uncacheable_rule, collect_rules
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, new_runner

import ko_pants
from ko_pants import daemon_memory
from ko_pants.engine import publish_plans
from ko_pants.explanation import store as record_store
from ko_pants.explanation.record import ImageRecord, Input
from ko_pants.explanation.store import NewRecord
from ko_pants.products import (
    ImageInputs,
    ListedInputs,
    PublishPlan,
    PublishPlanRequest,
)
from ko_pants.rules import built_inputs, listed_inputs, program_inputs
from ko_pants.rules.current_inputs import current_inputs
from ko_pants.rules.record_keeping import PendingRecord, forget, open_records, pending_record
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet

IMAGES = 50
MODULE = "example.com/recorded"


@dataclass(frozen=True)
class PendingRequest:
    """Ask what is to be recorded of some images."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Pending:
    """That, for each."""

    records: tuple[PendingRecord | None, ...]


@dataclass(frozen=True)
class CurrentRequest:
    """Ask what an image would be made from."""

    field_set: GoOciImageFieldSet
    root: str


@_uncacheable_rule
async def pending_records(request: PendingRequest, settings: Settings) -> Pending:
    plans = await publish_plans(PublishPlanRequest(address) for address in request.addresses)
    return Pending(tuple([await pending_record(plan, settings.kocache) for plan in plans]))


@_uncacheable_rule
async def inputs_now(
    request: CurrentRequest, settings: Settings, outside: GoEnvironment
) -> ImageInputs:
    found, _ = await current_inputs(request.field_set, settings, outside, request.root)
    return found


class Images:
    """A repo of 50 images of one program, and an engine, as a daemon would have it."""

    def __init__(self, kocache: Path) -> None:
        daemon_memory.clear_all()
        self.kocache = str(kocache)
        self.addresses = tuple(
            Address("app", target_name=f"image{number}") for number in range(IMAGES)
        )
        self.runner: RuleRunner = new_runner(
            [
                (Pending, [PendingRequest]),
                (PublishPlan, [PublishPlanRequest]),
                (ListedInputs, [ImageInputs]),
                (ImageInputs, [CurrentRequest]),
            ],
            rules=collect_rules(globals()),
        )
        targets = "".join(
            f"go_oci_image(name='{a.target_name}', binary=':program', base_image='scratch')\n"
            for a in self.addresses
        )
        self.runner.write_files(
            {
                "go.mod": f"module {MODULE}\n\ngo 1.21\n",
                "app/main.go": f'package main\n\nimport _ "{MODULE}/lib"\n\nfunc main() {{}}\n',
                "app/BUILD": f"go_executable(name='program')\n{targets}",
                "lib/lib.go": "package lib\n",
            }
        )

    def pending(self, *options: str) -> list[PendingRecord | None]:
        """What a run would record."""
        configure(self.runner, *options, KOCACHE=self.kocache, PATH=os.environ["PATH"])
        found = self.runner.request(Pending, [PendingRequest(self.addresses)])
        return list(found.records)

    def keep(self, records: list[PendingRecord | None]) -> None:
        """Write records, as a publish does at its end."""
        open_records(self.kocache).write(
            NewRecord(r.place, r.key, ImageRecord(r.place.address, r.inputs))
            for r in records
            if r and r.inputs is not None
        )

    def plan(self, number: int = 0) -> PublishPlan:
        """What is published of an image."""
        return self.runner.request(PublishPlan, [PublishPlanRequest(self.addresses[number])])


@pytest.fixture
def images(tmp_path: Path) -> Images:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    return Images(tmp_path / "kocache")


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of what a record costs."""
    found: Counter[str] = Counter()

    def count(place: Any, name: str) -> None:
        original = getattr(place, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            found[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(place, name, call)

    for place, name in (
        (built_inputs, "inputs_of_built"),
        (built_inputs, "image_inputs"),
        (program_inputs, "compile_sources"),
        (listed_inputs, "sorted_inputs"),
        (record_store, "read_regular"),
        (record_store, "file_state"),
        (record_store, "write_atomically"),
        (record_store, "encode_record"),
    ):
        count(place, name)
    return found


def test_a_run_without_a_change_costs_nothing(images: Images, counts: Counter[str]) -> None:
    first = images.pending()
    assert all(first)
    # The images are made from the same, so all of it is asked once.
    assert counts["compile_sources"] == 1
    assert counts["sorted_inputs"] == 1
    images.keep(first)
    for record in first:
        assert record is not None
        forget(images.kocache, record.place)

    # The next daemon reads one small file for each image, and looks whether its record is there.
    counts.clear()
    assert images.pending() == [None] * IMAGES
    assert counts == {"read_regular": IMAGES, "file_state": 2 * IMAGES}

    # A run of a warm daemon does nothing at all.
    counts.clear()
    assert images.pending() == [None] * IMAGES
    assert counts == {}


def test_an_edit_lists_files_again(images: Images, counts: Counter[str]) -> None:
    images.keep(images.pending())
    images.pending()
    counts.clear()

    # The executable is the same, and the image is.
    images.runner.write_files({"lib/lib.go": "package lib\n\n// A comment.\n"})
    edited = images.pending()

    assert all(edited)
    assert counts["sorted_inputs"] == 1
    counts.clear()
    images.keep(edited)
    # Of each image its record and what points to it, and once the directory that was edited.
    assert counts["write_atomically"] == 2 * IMAGES + 1


def test_equal_images_share_their_lists(images: Images, tmp_path: Path) -> None:
    images.keep(images.pending())

    files = [p for p in (tmp_path / "kocache/ko-pants/records/objects").rglob("*") if p.is_file()]
    # The root, `app` and `lib`.
    assert len(files) == IMAGES + 3


def listed(runner: RuleRunner, inputs: ImageInputs) -> set[Input]:
    """All inputs of an image."""
    return set(runner.request(ListedInputs, [inputs]).inputs)


BUILDS = {
    "a program": "go_oci_image(binary=':program')",
    "several programs and platforms": (
        "go_oci_image(binary=':program', binaries=['app/other:other', ':file'], "
        "platforms=['linux/amd64', 'linux/amd64/v3'], linux_capabilities=['net_bind_service'])"
    ),
    "a prebuilt file": "go_oci_image(binary=':file', kodata='../data', user='0')",
    "files, labels and flags": (
        "go_oci_image(binary=':program', files=[':files'], kodata=False, "
        "image_labels={'a': 'b'}, image_annotations={'c': 'd'}, image_env=['E=f'], cmd=['x'], "
        "compression='zstd', compression_level=5, disable_optimizations=True)"
    ),
    "flags of each platform": (
        "go_oci_image(binary=':templates', platforms=['linux/amd64', 'linux/arm64'])"
    ),
}


@pytest.mark.parametrize("case", BUILDS)
def test_what_is_built_is_what_would_be_built(case: str, tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    images = Images(tmp_path / "kocache")
    build = BUILDS[case].replace("go_oci_image(", "go_oci_image(name='x', base_image='scratch', ")
    images.runner.write_files(
        {
            "app/BUILD": (
                "go_executable(name='program', flags=['-tags=x'], ldflags=['-s'], env=['A=b'])\n"
                "go_executable(name='templates', flags=['-tags={{.Env.GOARCH}}'])\n"
                "file(name='file', source='server.bin')\n"
                f"oci_files(name='files', sources=['main.go'], at='/srv')\n{build}\n"
            ),
            "app/other/BUILD": "go_executable()\n",
            "app/other/main.go": "package main\n\nfunc main() {}\n",
            "app/server.bin": elf(62),
            "app/kodata/a": "a",
            "data/b": "b",
        }
    )
    configure(images.runner, KOCACHE=images.kocache, PATH=os.environ["PATH"])
    address = Address("app", target_name="x")
    plan = images.runner.request(PublishPlan, [PublishPlanRequest(address)])
    field_set = GoOciImageFieldSet.create(images.runner.get_target(address))

    now = images.runner.request(ImageInputs, [CurrentRequest(field_set, images.runner.build_root)])

    assert listed(images.runner, now) == listed(images.runner, plan.inputs)
    assert now.key == plan.inputs.key


def test_what_is_recorded_of_an_image(images: Images) -> None:
    images.pending()
    plan = images.plan()

    found = {(i.kind, i.name): i.value for i in listed(images.runner, plan.inputs)}

    assert found["platform", "linux/amd64"] == "wanted"
    assert found["program", f"{MODULE}/app"] == "compiled"
    assert found["base image", "base_image"] == "scratch"
    assert found["ko_pants version", "ko_pants"] == ko_pants.__version__
    assert found["Go version", "Go"].startswith("go1.")
    assert found["module", "go of go.mod"] == "1.21"
    assert {name for kind, name in found if kind == "source file"} == {
        "go.mod",
        "app/main.go",
        "lib/lib.go",
    }
    root = images.runner.build_root
    assert plan.place.address == "app:image0"
    assert plan.place.repositories == (f"{root}/dist/oci/image0",)


def test_an_image_that_is_not_pushed_has_no_record(images: Images) -> None:
    images.runner.write_files({"app/BUILD": "go_oci_image(name='image0', skip_push=True)\n"})
    images.addresses = images.addresses[:1]

    assert images.pending("--ko-default-base-image=scratch") == [None]


def test_a_list_that_the_engine_has_lost_is_no_failure(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr(listed_inputs, "sorted_inputs", lose)

    pending = images.pending()
    # They are in the list, so that nobody takes them for unchanged.
    assert [of and of.inputs for of in pending] == [None] * IMAGES
    assert all(pending)
