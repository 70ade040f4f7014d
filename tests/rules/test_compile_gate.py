"""Images are compiled in waves: layers are made beside compiles, and no image fails for another.

Processes run one at a time, in the order in which Pants starts them. What compiles is a shell
script that reads the sources, so no Go runs.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import Any, Sequence

import pytest
from call_counts import count_calls
from pants.engine.addresses import Address
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import _uncacheable_rule, collect_rules
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants import daemon_memory
from ko_pants.engine import built_images, run_process
from ko_pants.errors import KoPantsError
from ko_pants.golang.go_build import BUILD_INFO_PATH
from ko_pants.products import BuiltImage, ProgramInputs
from ko_pants.rules import compile_gate, go_executable, image_programs, layer_blob
from ko_pants.target_types import GoOciImageFieldSet

MODULE = "example.com/waves"
MANY = 12
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x")
OPTIONS = ("--process-execution-local-parallelism=1",)
FAILS = "// fails"

_HEAD = "".join(f"\\{byte:03o}" for byte in elf(62))

# Tests look for Go, as the plugin does, although none runs.
pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")


@dataclass(frozen=True)
class ImagesRequest:
    """Ask for images, all at the same time."""

    field_sets: tuple[GoOciImageFieldSet, ...]


@dataclass(frozen=True)
class Images:
    """The images."""

    images: tuple[BuiltImage, ...]


@_uncacheable_rule
async def build_images(request: ImagesRequest) -> Images:
    return Images(await built_images(request.field_sets))


class Steps:
    """What is done in a test, in the order in which it is done.

    :param seed: a part of each program, so that no test finds programs of another in a cache.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.done: list[tuple[str, str]] = []
        self.asked: list[str] = []

    async def compile(
        self, request: Any, build: Any, inputs: ProgramInputs, root: str
    ) -> FallibleProcessResult:
        """Stands in for `compile_package`: a program is its sources."""
        name = build.directory.rpartition("/")[2]
        self.asked.append(name)
        text = f"{self.seed} {name} {request.platform}"
        script = (
            f"! grep -rq '{FAILS}' . || exit 1; "
            f"(printf '{_HEAD}'; echo {text}; find . -name main.go | xargs cat) > program; "
            f"echo {text} > {BUILD_INFO_PATH}; cat program"
        )
        process = Process(
            ("/bin/sh", "-c", script),
            env={"PATH": "/usr/bin:/bin"},
            input_digest=inputs.sources,
            output_files=("program", BUILD_INFO_PATH),
            description=f"Compile {name}",
        )
        result = await run_process(process)
        self.done.append(("compile", name))
        if result.exit_code:
            raise KoPantsError(f"{name} does not compile")
        return result

    def layer(self, *_: Any) -> None:
        """A layer is made."""
        self.done.append(("layer", ""))

    def names(self) -> list[str]:
        """The programs that were compiled."""
        return sorted({name for what, name in self.done if what == "compile"})


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Steps:
    found = Steps(str(tmp_path))
    monkeypatch.setattr(go_executable, "compile_package", found.compile)
    monkeypatch.setattr(layer_blob, "note_layer", found.layer)
    # The programs of all platforms have one head.
    monkeypatch.setattr(image_programs, "executable_problem", lambda *_, **__: None)
    return found


class Repo:
    """Images of a main package each, and an engine, as a daemon would have it."""

    def __init__(self, platforms: Sequence[str] = PLATFORMS[:1]) -> None:
        self.names = [f"s{number:02}" for number in range(MANY)]
        self.runner: RuleRunner = new_runner(
            [(Images, [ImagesRequest])], rules=collect_rules(globals()), options=OPTIONS
        )
        self.write("go.mod", f"module {MODULE}\n\ngo 1.21\n")
        fields = f"base_image='scratch', kodata=False, platforms={list(platforms)!r}"
        self.write("BUILD", f"__defaults__({{go_oci_image: dict({fields})}})\n")
        for name in self.names:
            self.edit(name)
            self.write(f"{name}/BUILD", "go_oci_image()\n")

    def write(self, path: str, text: str) -> None:
        self.runner.write_files({path: text})

    def edit(self, name: str, comment: str = "") -> None:
        """Give a program other sources."""
        self.write(f"{name}/main.go", f"package main\n\nfunc main() {{}}\n{comment}\n")

    def begin_run(self) -> None:
        configure(self.runner, *OPTIONS, PATH=os.environ["PATH"])

    def request(self, names: Sequence[str]) -> ImagesRequest:
        targets = [self.runner.get_target(Address(name)) for name in names]
        return ImagesRequest(tuple(map(GoOciImageFieldSet.create, targets)))

    def build(self, *names: str) -> list[str]:
        """The digests of images, of all by default, in a new run."""
        self.begin_run()
        found = self.runner.request(Images, [self.request(names or self.names)])
        return [built.image.descriptor.digest for built in found.images]

    def nodes(self) -> int:
        """How many the engine's graph has."""
        return self.runner.scheduler.metrics()["resulting_graph_size"]


@pytest.mark.parametrize("platforms", [1, 5])
def test_layers_are_made_beside_compiles(steps: Steps, platforms: int) -> None:
    repo = Repo(PLATFORMS[:platforms])
    assert len(set(repo.build())) == MANY
    what = [kind for kind, _ in steps.done]
    assert what.count("compile") == what.count("layer") == MANY * platforms
    # Two thirds of the programs are still to be compiled by then.
    assert "layer" in what[: len(what) // 3]
    assert steps.names() == repo.names


def test_an_image_whose_program_is_that_of_another_is_made_with_it(steps: Steps) -> None:
    repo = Repo()
    for name in repo.names[2:]:
        repo.write(f"{name}/BUILD", "go_oci_image(binary='//s00:app')\n")
    repo.write("s00/BUILD", "go_executable(name='app')\ngo_oci_image(binary=':app')\n")
    assert len(set(repo.build())) == 2
    assert steps.done.count(("compile", "s00")) == 1
    assert steps.names() == ["s00", "s01"]


def test_a_failure_is_said_once_and_by_its_own_image(steps: Steps) -> None:
    repo = Repo()
    repo.edit("s05", FAILS)
    repo.begin_run()
    assert error_of(repo.runner, Images, [repo.request(repo.names)]) == "s05 does not compile"
    assert steps.asked.count("s05") == 1

    steps.asked.clear()
    others = [name for name in repo.names if name != "s05"]
    assert len(set(repo.build(*others))) == MANY - 1
    assert "s05" not in steps.asked

    repo.edit("s05")
    assert len(set(repo.build())) == MANY


def test_after_an_edit_only_the_programs_of_wanted_images_are_compiled(steps: Steps) -> None:
    repo = Repo()
    before = dict(zip(repo.names, repo.build()))
    for name in repo.names:
        repo.edit(name, "// edited")
    for name in reversed(repo.names):
        steps.done.clear()
        steps.asked.clear()
        assert repo.build(name) != [before[name]]
        assert {*steps.asked, *steps.names()} == {name}


def test_a_run_without_changes_waits_for_nothing(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    for step in ("waves_of_run", "_ran"):
        count_calls(monkeypatch, counts, compile_gate, step)
    repo = Repo()
    before = repo.build()
    repo.build()
    nodes = repo.nodes()
    steps.asked.clear()
    counts.clear()
    assert repo.build() == before
    assert repo.nodes() == nodes
    assert steps.asked == []
    assert counts["_ran"] == 0


def test_what_is_cached_is_waited_for_less_often(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    count_calls(monkeypatch, counts, compile_gate, "_ran")
    digests, waits = [], []
    for _ in range(2):
        # A new daemon; what the first one compiled is in Pants' cache.
        daemon_memory.clear_all()
        repo = Repo()
        digests.append(repo.build())
        waits.append(counts.pop("_ran"))
    assert digests[0] == digests[1]
    assert len(steps.names()) == MANY
    assert waits[1] < waits[0]


def test_a_run_that_is_broken_off_leaves_nothing_behind(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo()
    repo.begin_run()
    wanted = repo.request(repo.names)
    session = repo.runner.scheduler.py_session
    compile_program = steps.compile

    async def break_off(*args: Any) -> FallibleProcessResult:
        if len(steps.names()) >= MANY // 2:
            session.cancel()
        return await compile_program(*args)

    monkeypatch.setattr(go_executable, "compile_package", break_off)
    with pytest.raises(KeyboardInterrupt):
        repo.runner.request(Images, [wanted])
    assert len(steps.names()) < MANY
    monkeypatch.setattr(go_executable, "compile_package", compile_program)
    assert len(set(repo.build())) == MANY
