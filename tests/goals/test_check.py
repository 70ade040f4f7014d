"""`check` compiles and vets what images are made of, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from golang.trees import find_go
from pants.core.goals import check as core_check
from pants.core.goals.check import CheckResults
from pants.engine.addresses import Address
from pants.engine.internals.session import RunId
from pants.engine.process import ProcessResultMetadata
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import BOOTSTRAP, ENVIRONMENT, configure, elf, new_runner

from ko_pants.goals.check import CheckGoOciImageRequest, GoOciImageCheckFieldSet
from ko_pants.products import BuiltImage
from ko_pants.target_types import GoOciImageFieldSet

MODULE = "module example.com/m\n\ngo 1.21\n"
LIB = 'package lib\n\nfunc Name() string { return "lib" }\n'
MAIN = 'package main\n\nimport "example.com/m/lib"\n\nfunc main() { println(lib.Name()) }\n'
TYPE_ERROR = "package lib\n\nfunc Name() string { return 1 }\n"
# A finding of `go vet` that compiles.
SELF_ASSIGNMENT = 'package lib\n\nfunc Name() string { x := "lib"; x = x; return x }\n'
BOTH = "platforms=['linux/amd64', 'linux/arm64'], base_image='scratch'"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (CheckResults, [CheckGoOciImageRequest]),
            (BuiltImage, [GoOciImageFieldSet]),
            (RunId, []),
        ],
        rules=core_check.rules(),  # type: ignore[no-untyped-call]
    )


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    """An engine with the module `m`, where `a` and `b` are programs."""
    begin(engine)
    engine.write_files(
        {
            "m/go.mod": MODULE,
            "m/lib/lib.go": LIB,
            "m/a/main.go": MAIN,
            "m/a/main_test.go": "package main\n\nthis is no Go\n",
            "m/b/main.go": MAIN,
            "m/a/BUILD": f"go_oci_image(name='image', {BOTH})\n",
            "m/b/BUILD": f"go_oci_image(name='image', {BOTH})\n",
        }
    )
    return engine


def begin(runner: RuleRunner, *options: str) -> None:
    """Begin a new run."""
    configure(runner, f"--ko-go-search-paths={[os.path.dirname(find_go())]}", *options)


def check(runner: RuleRunner, *addresses: str) -> CheckResults:
    """Check these images, as the goal does."""
    targets = [
        runner.get_target(Address(a.partition(":")[0], target_name=a.partition(":")[2]))
        for a in addresses
    ]
    field_sets = [
        GoOciImageCheckFieldSet.create(target)
        for target in targets
        if GoOciImageCheckFieldSet.is_applicable(target)
    ]
    return runner.request(CheckResults, [CheckGoOciImageRequest(field_sets)])


def failure(runner: RuleRunner, *addresses: str) -> str:
    """What a user is shown."""
    found = check(runner, *addresses)
    assert (found.exit_code, found.checker_name) == (1, "ko")
    (result,) = found.results
    assert result.stdout == ""
    return result.stderr


def test_programs_that_compile(runner: RuleRunner) -> None:
    found = check(runner, "m/a:image", "m/b:image")
    assert (found.exit_code, found.skipped) == (0, False)
    (result,) = found.results
    assert result.stderr == ""


def test_an_error_is_said_once_with_a_path_of_the_repo(runner: RuleRunner) -> None:
    runner.write_files({"m/lib/lib.go": TYPE_ERROR})
    text = failure(runner, "m/a:image", "m/b:image")
    heading, package, line = text.splitlines()
    assert heading == ("m/a:image, m/b:image: `go build` failed for linux/amd64, linux/arm64:")
    assert package == "# example.com/m/lib"
    assert line.startswith("m/lib/lib.go:3:29: cannot use 1")


def test_what_go_vet_finds(runner: RuleRunner) -> None:
    runner.write_files({"m/lib/lib.go": SELF_ASSIGNMENT})
    text = failure(runner, "m/a:image", "m/b:image")
    assert text.startswith("m/a:image, m/b:image: `go vet` failed for linux/amd64:\n")
    assert "\nm/lib/lib.go:3:34: self-assignment of x" in text
    # Again, in another sandbox.
    begin(runner)
    assert "\nm/lib/lib.go:3:34: self-assignment" in failure(runner, "m/b:image")
    begin(runner, "--ko-go-vet-args=-assign=false")
    assert check(runner, "m/a:image").exit_code == 0
    begin(runner, "--no-ko-go-vet")
    assert check(runner, "m/a:image").exit_code == 0


def test_a_finding_on_one_platform(runner: RuleRunner) -> None:
    runner.write_files(
        {"m/lib/x_arm64.go": "package lib\n\nfunc init() { x := 1; x = x; _ = x }\n"}
    )
    text = failure(runner, "m/a:image")
    (Path(runner.build_root) / "m/lib/x_arm64.go").unlink()
    assert text.startswith("m/a:image: `go vet` failed for linux/arm64:\n")


def test_modules_that_a_directory_replaces_are_vetted_too(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "other/go.mod": "module example.com/other\n\ngo 1.21\n",
            "other/lib.go": SELF_ASSIGNMENT,
            "r/go.mod": (
                "module example.com/r\n\ngo 1.21\n\nrequire example.com/other v0.0.0\n\n"
                "replace example.com/other => ../other\n"
            ),
            "r/main.go": (
                'package main\n\nimport lib "example.com/other"\n\n'
                "func main() { println(lib.Name()) }\n"
            ),
            "r/BUILD": f"go_oci_image(name='image', {BOTH})\n",
        }
    )
    assert "\nother/lib.go:3:34: self-assignment of x" in failure(runner, "r:image")


def test_modules_of_a_go_work_are_vetted_and_vendored_ones_are_not(runner: RuleRunner) -> None:
    main = 'package main\n\nimport lib "t.test/lib"\n\nfunc main() { println(lib.Name()) }\n'
    image = f"go_oci_image(name='image', {BOTH})\n"
    runner.write_files(
        {
            "w/go.work": "go 1.21\n\nuse (\n\t./a\n\t./lib\n)\n",
            "w/a/go.mod": "module t.test/a\n\ngo 1.21\n",
            "w/a/main.go": main,
            "w/a/BUILD": image,
            "w/lib/go.mod": "module t.test/lib\n\ngo 1.21\n",
            "w/lib/lib.go": SELF_ASSIGNMENT,
            "v/go.mod": "module t.test/v\n\ngo 1.21\n\nrequire t.test/lib v1.0.0\n",
            "v/main.go": main,
            "v/BUILD": image,
            "v/vendor/modules.txt": "# t.test/lib v1.0.0\n## explicit; go 1.21\nt.test/lib\n",
            "v/vendor/t.test/lib/lib.go": SELF_ASSIGNMENT,
        }
    )
    assert "\nw/lib/lib.go:3:34: self-assignment of x" in failure(runner, "w/a:image")
    assert check(runner, "v:image").exit_code == 0


def test_the_goal(runner: RuleRunner) -> None:
    done = runner.run_goal_rule(
        core_check.Check,
        global_args=[*BOOTSTRAP, f"--ko-go-search-paths={[os.path.dirname(find_go())]}"],
        args=["m/a:image"],
        env=ENVIRONMENT,
    )
    assert done.exit_code == 0, done.stderr
    assert "ko succeeded." in done.stderr


def test_an_image_can_be_left_out(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "m/lib/lib.go": TYPE_ERROR,
            "m/a/BUILD": f"go_oci_image(name='image', skip_check=True, {BOTH})\n",
        }
    )
    assert failure(runner, "m/a:image", "m/b:image").startswith("m/b:image: ")


def test_all_images_can_be_left_out(runner: RuleRunner) -> None:
    runner.write_files({"m/lib/lib.go": TYPE_ERROR})
    begin(runner, "--ko-skip-check")
    assert check(runner, "m/a:image").skipped


def test_a_mistake_in_one_image_leaves_the_others_checked(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "m/lib/lib.go": TYPE_ERROR,
            "m/c/BUILD": (
                "go_oci_image(name='nowhere', binary=':x', base_image='scratch')\n"
                "go_oci_image(name='library', binary=':lib', base_image='scratch')\n"
                "go_executable(name='lib', main='../lib')\n"
            ),
        }
    )
    text = failure(runner, "m/c:nowhere", "m/c:library", "m/b:image")
    assert "m/c:x from the m/c:nowhere, field `binary` does not exist" in text
    assert "m/c:lib: m/lib is `package lib` (lib.go), not a program" in text
    assert "m/b:image: `go build` failed for linux/amd64, linux/arm64:" in text


def test_a_prebuilt_program_is_not_asked_for(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "p/BUILD": (
                "file(name='file', source='server.bin')\n"
                "go_oci_image(name='image', binary=':file', base_image='scratch')\n"
            ),
            "p/server.bin": elf(3),
        }
    )
    assert check(runner, "p:image").exit_code == 0


def test_a_base_that_cannot_be_read_is_a_warning(
    runner: RuleRunner, caplog: pytest.LogCaptureFixture
) -> None:
    fields = "platforms=['linux/amd64'], base_image='127.0.0.1:1/base'"
    build = f"go_oci_image(name='image', {fields})\n"
    runner.write_files({"m/a/BUILD": build, "m/b/BUILD": build})
    assert check(runner, "m/a:image", "m/b:image").exit_code == 0
    (record,) = caplog.records
    assert record.getMessage().startswith("m/a:image, m/b:image: field `base_image`: ")
    assert "`publish` may compile again" in record.getMessage()


def test_publish_compiles_nothing_again(runner: RuleRunner) -> None:
    runner.write_files({"m/lib/lib.go": LIB.replace('"lib"', '"checked and built"')})
    assert check(runner, "m/a:image").exit_code == 0
    begin(runner)
    target = runner.get_target(Address("m/a", target_name="image"))
    built = runner.request(BuiltImage, [GoOciImageFieldSet.create(target)])
    metadata = [e.source.metadata for part in built.platforms for e in part.executables]
    assert len(metadata) == 2
    for of_compile in metadata:
        assert of_compile is not None
        # It ran in the run of the check.
        source = of_compile.source(runner.request(RunId, []))
        assert source == ProcessResultMetadata.Source.MEMOIZED
