"""`tailor` proposes a target for YAML files that name images, and only if it is asked to."""

from __future__ import annotations

import pytest
from pants.core.goals import tailor as core_tailor
from pants.core.goals.tailor import AllOwnedSources, PutativeTargets
from pants.engine.rules import QueryRule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, new_runner

from ko_pants.goals.tailor_manifests import PutativeManifestsRequest

NAMES = "image: ko://example.com/web\n"
FILES = {
    "config/web.yaml": NAMES,
    "config/other.yml": "- ko://example.com/other\n",
    "config/crd.yaml": "a: b\n",
    "none/url.yaml": "a: https://example.com # ko://\n",
    "none/bad.yaml": "a: [ko://example.com/web\n",
    "chart/templates/web.yaml": "{{ if }}\n" + NAMES,
    "owned/web.yaml": NAMES,
    "owned/BUILD": "files(name='yaml', sources=['*.yaml'])\n",
    "testdata/web.yaml": NAMES,
    "root.yaml": NAMES,
}
DIRECTORIES = ("", "config", "none", "chart/templates", "owned", "testdata")


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    runner = new_runner(
        [(PutativeTargets, [PutativeManifestsRequest])],
        rules=[*core_tailor.rules(), QueryRule(AllOwnedSources, ())],  # type: ignore[no-untyped-call]
    )
    runner.write_files(FILES)
    return runner


def test_directories_whose_files_name_images(runner: RuleRunner) -> None:
    configure(runner, "--ko-tailor")
    found = runner.request(PutativeTargets, [PutativeManifestsRequest(DIRECTORIES)])
    assert {target.path: (target.name, target.triggering_sources) for target in found} == {
        "": ("manifests", ("root.yaml",)),
        "config": ("manifests", ("other.yml", "web.yaml")),
    }
    assert {target.owned_sources for target in found} == {("*.yaml", "*.yml")}


def test_nothing_unless_the_option_is_set(runner: RuleRunner) -> None:
    configure(runner)
    assert not runner.request(PutativeTargets, [PutativeManifestsRequest(DIRECTORIES)])
