"""A BUILD file of Bazel says what it is, and which option has Pants ignore it."""

from __future__ import annotations

import pytest
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import new_runner

from ko_pants import register


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return new_runner([])


@pytest.mark.parametrize("name", ["BUILD", "BUILD.bazel"])
@pytest.mark.parametrize(
    ("function", "content"),
    [
        ("load", 'load("@io_bazel_rules_go//go:def.bzl", "go_library")\ngo_library(name="x")\n'),
        ("package", 'package(default_visibility=["//visibility:public"])\n'),
        ("licenses", 'licenses(["notice"])\n'),
        ("exports_files", 'exports_files(["LICENSE"])\n'),
    ],
)
def test_the_message_names_file_and_option(
    runner: RuleRunner, name: str, function: str, content: str
) -> None:
    directory = f"vendor/{function}{len(name)}"
    runner.write_files({f"{directory}/{name}": content})
    with pytest.raises(Exception, match=f"`{function}` is a function of Bazel") as error:
        runner.get_target(Address(directory))
    assert f"{directory}/{name}" in str(error.value)
    assert "[GLOBAL].build_ignore" in str(error.value)


def test_the_functions_do_not_hide_a_target() -> None:
    targets = {target.alias for target in register.target_types()}
    assert not targets.intersection(register.build_file_aliases().objects)
