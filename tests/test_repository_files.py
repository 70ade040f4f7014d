"""Files that GitHub and pre-commit read: their form, and that what they name is there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent
FORMS = ("bug.yml", "feature.yml")
# "Syntax for GitHub's form schema" in the documentation of GitHub.
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def read(name: str) -> Any:
    return yaml.safe_load((REPO / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_issues(name: str) -> None:
    form = read(f".github/ISSUE_TEMPLATE/{name}")
    assert set(form) == {"name", "description", "labels", "body"}
    assert {element["type"] for element in form["body"]} <= ELEMENTS
    asked = [element for element in form["body"] if element["type"] != "markdown"]
    ids = [element["id"] for element in asked]
    assert len(ids) == len(set(ids))
    assert all(element["attributes"]["label"] for element in asked)
    assert any(element.get("validations", {}).get("required") for element in asked)


def test_the_workflow_runs_what_ci_runs() -> None:
    jobs = read(".github/workflows/ci.yml")["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step][-1] == "bash .ci/run"
    assert (REPO / ".ci" / "run").is_file()
    assert all(re.fullmatch(r"actions/\w+@v\d+", s["uses"]) for s in steps if "uses" in s)


def test_hooks_call_scripts_that_are_there_and_fetch_nothing() -> None:
    repos = read(".pre-commit-config.yaml")["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    for hook in repos[0]["hooks"]:
        assert hook["language"] in ("script", "pygrep")
        program, *arguments = hook["entry"].split()
        if hook["language"] == "script":
            assert os.access(REPO / program, os.X_OK)
            assert all((REPO / name).exists() for name in arguments if "/" in name)


def test_the_policy_is_where_github_looks_and_invents_no_address() -> None:
    policy = (REPO / "SECURITY.md").read_text()
    assert "private reporting" in policy
    assert "@" not in policy
    assert "\n## Supported versions\n" in policy
