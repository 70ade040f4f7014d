"""What git's output and its errors mean for templates."""

from __future__ import annotations

import pytest

from ko_pants.golang.git_values import QUESTIONS, explain_failure, question_of, read_answer
from ko_pants.golang.templates import GIT_NAMES


def test_each_value_has_one_question() -> None:
    answered = [name for _, names in QUESTIONS.values() for name in names]
    assert sorted(answered) == sorted(GIT_NAMES)
    for question, (_, names) in QUESTIONS.items():
        assert {question_of(name) for name in names} == {question}


@pytest.mark.parametrize(
    ("question", "output", "values"),
    [
        ("branch", "main\n", {"Branch": "main"}),
        # As ko has it where no branch is checked out.
        ("branch", "HEAD\n", {"Branch": "HEAD"}),
        ("tag", "v1.2.3\n", {"Tag": "v1.2.3"}),
        ("state", "", {"IsDirty": "false", "IsClean": "true", "TreeState": "clean"}),
        ("state", "?? new\n", {"IsDirty": "true", "IsClean": "false", "TreeState": "dirty"}),
        (
            "commit",
            "abc1234\nabc1234def\n1700000000\n",
            {
                "ShortCommit": "abc1234",
                "FullCommit": "abc1234def",
                "CommitDate": "2023-11-14T22:13:20Z",
                "CommitTimestamp": "1700000000",
            },
        ),
    ],
)
def test_answers(question: str, output: str, values: dict[str, str]) -> None:
    assert read_answer(question, output) == values
    assert set(values) == set(QUESTIONS[question][1])


@pytest.mark.parametrize(
    ("question", "stderr", "shallow", "words"),
    [
        ("tag", "fatal: not a git repository (or any ...): .git", False, "in no git repository"),
        ("commit", "fatal: ambiguous argument 'HEAD': unknown revision", False, "no commit yet"),
        ("tag", "fatal: Not a valid object name HEAD", False, "no commit yet"),
        ("tag", "fatal: No names found, cannot describe anything.", False, "git tag"),
        ("tag", "fatal: No tags can describe 'abc'.", True, "git fetch --unshallow --tags"),
        ("state", "fatal: detected dubious ownership", False, "dubious ownership"),
        ("state", "", False, "`git status --porcelain` failed in /repo: without a message"),
    ],
)
def test_failures(question: str, stderr: str, shallow: bool, words: str) -> None:
    assert words in explain_failure(question, stderr, directory="/repo", shallow=shallow)
