"""What templates ask of the machine in each run: git, and the time.

A run asks each question at most once, for all its targets, and only if a template wants the answer.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Mapping

from pants.base.build_root import BuildRoot
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.rules import _uncacheable_rule
from pants.util.frozendict import FrozenDict

from ko_pants.engine import environment_vars
from ko_pants.golang.git_values import (
    IS_SHALLOW,
    QUESTIONS,
    VARIABLES,
    explain_failure,
    read_answer,
)
from ko_pants.products import GitAnswer, GitAnswerRequest, RunTime, RunTimeRequest

# A `git status` of a large repository on a slow disk.
_TIMEOUT_SECONDS = 600


async def _git_environment() -> dict[str, str]:
    """The variables that git gets, among them the configuration in GIT_CONFIG_COUNT."""
    env = await environment_vars(EnvironmentVarsRequest(VARIABLES))
    count = env.get("GIT_CONFIG_COUNT", "")
    pairs: Mapping[str, str] = {}
    if count.isascii() and count.isdecimal():
        names = [
            f"GIT_CONFIG_{part}_{i}" for i in range(int(count[:4])) for part in ("KEY", "VALUE")
        ]
        pairs = await environment_vars(EnvironmentVarsRequest(names))
    return {**env, **pairs, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _run_git(
    git: str, arguments: tuple[str, ...], directory: str, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [git, *arguments],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


@_uncacheable_rule
async def ask_git(request: GitAnswerRequest, build_root: BuildRoot) -> GitAnswer:
    """Run git in the build root, as ko does in the directory of the module."""
    env = await _git_environment()
    git = shutil.which("git", path=env.get("PATH", ""))
    if git is None:
        return GitAnswer(problem="there is no `git` on the PATH of Pants' environment")
    directory = build_root.path
    try:
        done = _run_git(git, QUESTIONS[request.question][0], directory, env)
        if done.returncode == 0:
            return GitAnswer(FrozenDict(read_answer(request.question, done.stdout)))
        shallow = _run_git(git, IS_SHALLOW, directory, env).stdout.strip() == "true"
    except (OSError, subprocess.TimeoutExpired) as e:
        return GitAnswer(problem=f"git cannot be run: {e}")
    return GitAnswer(
        problem=explain_failure(request.question, done.stderr, directory=directory, shallow=shallow)
    )


@_uncacheable_rule
async def time_of_run(request: RunTimeRequest) -> RunTime:
    """The time at which the first template of the run wants it."""
    return RunTime(int(time.time()))
