"""`--changed-since` in the shallow clones of CI jobs: the recipes of docs/ci.md, on real clones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from integration.workspace import REPO, SMALL, Workspace, go_mod, tool, workspace

CI_PAGE = (REPO / "docs" / "ci.md").read_text()
_IDENTITY = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
_COMMITS_OF_EACH_BRANCH = 3


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *_IDENTITY, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Origin:
    """A repository whose branches `main` and `topic` have gone apart; `merge` has both.

    The image `a` was edited in `topic`, and `b` in `main`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._write("go.mod", go_mod("example.com/mono"))
        self._write("BUILD", "go_sources(name='go')\n")
        for name in "ab":
            self._write(f"{name}/main.go", SMALL)
            self._write(f"{name}/BUILD", "go_oci_image()\n")
        self._write(".gitignore", "/dist/\n/.pants.d/\n/.pids/\n/pants.toml\n")
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        for number in range(_COMMITS_OF_EACH_BRANCH):
            self._edit("README.md", number)
        #: The merge base of both branches.
        self.base = git(root, "rev-parse", "HEAD")
        git(root, "switch", "-q", "-c", "topic")
        for number in range(_COMMITS_OF_EACH_BRANCH):
            self._edit("a/main.go", number)
        git(root, "switch", "-q", "main")
        for number in range(_COMMITS_OF_EACH_BRANCH):
            self._edit("b/main.go", number)
        git(root, "switch", "-q", "-c", "merge")
        git(root, "merge", "-q", "--no-edit", "topic")

    def clone(self, directory: Path, branch: str, depth: int) -> None:
        """As CI does; by a URL, because git ignores the depth for a path."""
        git(
            self.root,
            *("clone", "-q", f"--depth={depth}", f"--branch={branch}"),
            *(f"file://{self.root}", str(directory)),
        )

    def _write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def _edit(self, name: str, number: int) -> None:
        self._write(name, f"{SMALL}\n// {number}\n")
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "-m", f"{name} {number}")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    tool("git")
    return Origin(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def shallow(
    origin: Origin, caches: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A clone of `topic` with one commit."""
    directory = tmp_path_factory.mktemp("shallow") / "clone"
    origin.clone(directory, "topic", depth=1)
    with workspace(directory, caches) as made:
        yield made


def changed(repo: Workspace, selection: str) -> list[str]:
    """The images that have changed."""
    run = repo.pants(
        *(selection, "--changed-dependents=transitive"),
        *("--filter-target-type=go_oci_image", "list"),
    )
    return run.ok().stdout.split()


def test_pants_says_what_is_missing(shallow: Workspace, origin: Origin) -> None:
    def message() -> str:
        run = shallow.pants("--changed-since=origin/main", "list")
        assert run.exit_code == 1
        (found,) = re.findall(r"\[ERROR\] (fatal: .*)", run.stderr)
        return str(found)

    assert f"| `{message()}` |" in CI_PAGE
    git(shallow.root, "fetch", "-q", "--depth=1", "origin", "+main:refs/remotes/origin/main")
    assert f"| `{message()}` |" in CI_PAGE


def test_a_known_commit_needs_no_history(shallow: Workspace, origin: Origin) -> None:
    git(shallow.root, "fetch", "-q", "--depth=1", "origin", origin.base)
    assert changed(shallow, f"--changed-diffspec={origin.base}..HEAD") == ["a:a"]


def test_the_script_of_the_docs_fetches_as_much_as_is_needed(
    shallow: Workspace, origin: Origin, tmp_path: Path
) -> None:
    (script,) = (s for s in re.findall(r"```sh\n(.*?)```", CI_PAGE, re.DOTALL) if "--deepen" in s)
    # Fewer at a time, so that it has to ask more than once, and does not have all in the end.
    script = script.replace("--deepen=50", "--deepen=1")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script, "deepen", *arguments],
            cwd=shallow.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = run("main", "topic")
    assert done.returncode == 0, done.stderr
    assert changed(shallow, "--changed-since=origin/main") == ["a:a"]
    assert git(shallow.root, "rev-parse", "--is-shallow-repository") == "true"

    # Two branches without a common commit: it ends, and says so.
    git(origin.root, "switch", "-q", "--orphan", "other")
    git(origin.root, "commit", "-q", "--allow-empty", "-m", "other")
    git(origin.root, "switch", "-q", "merge")
    done = run("other", "topic")
    assert done.returncode == 1
    assert "have no common commit" in done.stderr


def test_a_merge_of_a_pull_request_needs_two_commits(
    origin: Origin, caches: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "merge"
    origin.clone(directory, "merge", depth=2)
    with workspace(directory, caches) as repo:
        assert changed(repo, "--changed-since=HEAD^") == ["a:a"]
