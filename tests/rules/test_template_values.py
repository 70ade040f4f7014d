"""Templates of a target in a real engine: where values come from, and what a mistake says."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from pants.engine.addresses import Address
from pants.engine.rules import rule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.config_fields import GoOciImageLabelsField
from ko_pants.oci.platform import Platform
from ko_pants.products import GoBuild
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.rules.template_values import filled_builds, filled_labels
from ko_pants.target_types import GoExecutableLdflagsField

AMD64, ARM = Platform("linux", "amd64"), Platform("linux", "arm", "v6")
EPOCH = "1700000000"


@dataclass(frozen=True)
class Fill:
    """Fill in a build for platforms."""

    build: GoBuild
    platforms: tuple[Platform, ...] = (AMD64,)


@dataclass(frozen=True)
class Filled:
    """What came out."""

    builds: tuple[GoBuild, ...]


@dataclass(frozen=True)
class FillLabel:
    """Fill in the label `l`."""

    text: str
    platforms: tuple[Platform, ...] = (AMD64,)


@dataclass(frozen=True)
class FilledLabel:
    """What came out."""

    text: str


@rule
async def fill(request: Fill, settings: Settings, outside: GoEnvironment) -> Filled:
    """Ask the module."""
    return Filled(await filled_builds(request.build, request.platforms, outside, settings))


@rule
async def fill_label(request: FillLabel, settings: Settings, outside: GoEnvironment) -> FilledLabel:
    """Ask the module."""
    labels = GoOciImageLabelsField({"l": request.text}, Address("app", target_name="image"))
    found = await filled_labels("app:image", labels, request.platforms, outside, settings, "")
    return FilledLabel(found["l"])


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(Filled, [Fill]), (FilledLabel, [FillLabel])], rules=[fill, fill_label])


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    return engine


def ldflag(runner: RuleRunner, text: str, platform: Platform = AMD64, **env: str) -> str:
    """The one entry of `ldflags` when it is filled in."""
    build = GoBuild("app:server", "app", ldflags=(text,), env=tuple(env.items()))
    (filled,) = runner.request(Filled, [Fill(build, (platform,))]).builds
    (found,) = filled.ldflags
    return found


def mistake(runner: RuleRunner, **fields: tuple[str, ...]) -> str:
    return error_of(runner, Filled, [Fill(GoBuild("app:server", "app", **fields))])  # type: ignore[arg-type]


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    env = {**os.environ, "GIT_COMMITTER_DATE": f"{EPOCH} +0100"}
    subprocess.run(["git", *identity, *arguments], cwd=directory, env=env, check=True)


@pytest.fixture
def repository(runner: RuleRunner, tmp_path: Path) -> Path:
    """A repository with the commit of a file and the tag v1; `GIT_DIR` leads to it."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    (root / "file").write_text("1")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    git(root, "tag", "v1")
    return root


def use(runner: RuleRunner, repository: Path, **env: str) -> None:
    """Begin a run for which the build root's repository is this one."""
    configure(
        runner, GIT_DIR=str(repository / ".git"), GIT_WORK_TREE=str(repository), PATH=PATH, **env
    )


PATH = os.environ["PATH"]


def test_a_build_without_templates_is_itself(runner: RuleRunner) -> None:
    build = GoBuild("app:server", "app", flags=("-tags=x",), env=(("A", "{b}"),))
    assert runner.request(Filled, [Fill(build, (AMD64, ARM))]).builds == (build, build)


def test_the_environment_of_pants(runner: RuleRunner) -> None:
    configure(runner, VERSION="1.2", EMPTY="")
    assert ldflag(runner, "-X main.v={{.Env.VERSION}}{{.Env.EMPTY}}") == "-X main.v=1.2"


def test_a_new_value_is_seen_in_the_next_run(runner: RuleRunner) -> None:
    configure(runner, VERSION="1")
    assert ldflag(runner, "{{.Env.VERSION}}") == "1"
    configure(runner, VERSION="2")
    assert ldflag(runner, "{{.Env.VERSION}}") == "2"


def test_as_in_ko_ldflags_is_empty_and_the_targets_variables_win(runner: RuleRunner) -> None:
    configure(runner, MODE="outside", GOOS="windows")
    assert ldflag(runner, "{{.Env.LDFLAGS}}|{{.Env.MODE}}", MODE="target") == "|target"
    assert ldflag(runner, "{{.Env.GOOS}}{{.Env.GOARCH}}{{.Env.GOARM}}", ARM) == "linuxarm6"
    assert ldflag(runner, "{{.Env.CGO_ENABLED}}") == "0"


def test_go_env(runner: RuleRunner) -> None:
    configure(runner, PATH=PATH)
    text = "{{.GoEnv.GOOS}}/{{.GoEnv.GOARCH}}/{{.GoEnv.GOARM}}/{{.GoEnv.GOVERSION}}"
    assert ldflag(runner, text, ARM).startswith("linux/arm/6/go1.")
    assert ldflag(runner, "{{.GoEnv.GOEXPERIMENT}}", GOEXPERIMENT="rangefunc") == "rangefunc"


@pytest.mark.parametrize("name", ["GOROOT", "GOCACHE", "GOMODCACHE"])
def test_no_path_of_the_sandbox(runner: RuleRunner, name: str) -> None:
    configure(runner, PATH=PATH)
    text = mistake(runner, flags=(f"-ldflags=-X=main.v={{{{.GoEnv.{name}}}}}",))
    assert f"app:server, field `flags`: {{{{.GoEnv.{name}}}}} cannot be filled in" in text
    assert "sandbox" in text


def test_time_is_source_date_epoch(runner: RuleRunner) -> None:
    configure(runner, SOURCE_DATE_EPOCH=EPOCH)
    assert ldflag(runner, "{{.Date}} {{.Timestamp}}") == f"2023-11-14T22:13:20Z {EPOCH}"
    configure(runner, SOURCE_DATE_EPOCH="0")
    assert ldflag(runner, "{{.Date}}") == "1970-01-01T00:00:00Z"


def test_else_it_is_that_of_the_run_for_all_targets(
    runner: RuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([1700000000.9, 1700000001.9])
    clock = SimpleNamespace(time=lambda: next(moments))
    monkeypatch.setattr("ko_pants.rules.machine_values.time", clock)
    configure(runner)
    assert ldflag(runner, "{{.Timestamp}}") == "1700000000"
    assert ldflag(runner, "{{.Timestamp}} {{.Date}}") == "1700000000 2023-11-14T22:13:20Z"
    configure(runner)
    assert ldflag(runner, "{{.Timestamp}}") == "1700000001"


def test_git(runner: RuleRunner, repository: Path) -> None:
    use(runner, repository)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    assert ldflag(runner, "{{.Git.Branch}} {{.Git.Tag}}") == "trunk v1"
    assert ldflag(runner, "{{.Git.FullCommit}}") == head
    assert head.startswith(ldflag(runner, "{{.Git.ShortCommit}}"))
    assert ldflag(runner, "{{.Git.CommitDate}}") == "2023-11-14T22:13:20Z"
    assert ldflag(runner, "{{.Git.CommitTimestamp}}") == EPOCH
    assert ldflag(runner, "{{.Git.IsDirty}} {{.Git.IsClean}}") == "false true"
    assert ldflag(runner, "{{.Git.TreeState}}") == "clean"


@pytest.mark.parametrize("name", ["file", "untracked"])
def test_dirty_is_what_git_says(runner: RuleRunner, repository: Path, name: str) -> None:
    (repository / name).write_text("2")
    use(runner, repository)
    assert ldflag(runner, "{{.Git.TreeState}} {{.Git.IsDirty}}") == "dirty true"


def test_an_ignored_file_leaves_the_tree_clean(runner: RuleRunner, repository: Path) -> None:
    (repository / ".git/info/exclude").write_text("out\n")
    (repository / "out").write_text("2")
    use(runner, repository)
    assert ldflag(runner, "{{.Git.TreeState}}") == "clean"


def test_the_tag_before_head_and_no_branch(runner: RuleRunner, repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    git(repository, "checkout", "-q", "--detach")
    use(runner, repository)
    assert ldflag(runner, "{{.Git.Tag}} {{.Git.Branch}}") == "v1 HEAD"


def test_a_linked_worktree(runner: RuleRunner, repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side/new").write_text("")
    configure(
        runner,
        PATH=PATH,
        GIT_DIR=str(repository / ".git/worktrees/side"),
        GIT_WORK_TREE=str(tmp_path / "side"),
    )
    assert ldflag(runner, "{{.Git.Branch}} {{.Git.TreeState}}") == "side dirty"


def test_git_gets_configuration_from_the_environment(runner: RuleRunner, repository: Path) -> None:
    (repository / "untracked").write_text("")
    use(
        runner,
        repository,
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="status.showUntrackedFiles",
        GIT_CONFIG_VALUE_0="no",
    )
    assert ldflag(runner, "{{.Git.TreeState}}") == "clean"


def test_no_tag_is_an_error(runner: RuleRunner, repository: Path) -> None:
    git(repository, "tag", "-d", "v1")
    use(runner, repository)
    text = mistake(runner, ldflags=("-X main.v={{.Git.Tag}}",))
    assert text.startswith(
        "app:server, field `ldflags`: {{.Git.Tag}} cannot be filled in: git finds no tag"
    )
    # Nothing else wants a tag.
    assert ldflag(runner, "{{.Git.Branch}}") == "trunk"


def test_a_shallow_clone_without_tags(runner: RuleRunner, repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    use(runner, shallow)
    assert "git fetch --unshallow --tags" in mistake(runner, ldflags=("{{.Git.Tag}}",))


def test_no_commit_yet(runner: RuleRunner, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    use(runner, tmp_path)
    for name in ("ShortCommit", "Branch"):
        assert "no commit yet" in mistake(runner, ldflags=(f"{{{{.Git.{name}}}}}",))


def test_no_repository(runner: RuleRunner) -> None:
    configure(runner, PATH=PATH, GIT_CEILING_DIRECTORIES=str(Path(runner.build_root).parent))
    text = mistake(runner, ldflags=("{{.Git.IsClean}}",))
    assert f"{runner.build_root} is in no git repository" in text


def test_no_git(runner: RuleRunner) -> None:
    configure(runner, PATH="/nowhere")
    assert "no `git` on the PATH" in mistake(runner, ldflags=("{{.Git.Tag}}",))


def test_a_variable_that_is_not_set(runner: RuleRunner) -> None:
    text = mistake(runner, ldflags=("-X main.v={{.Env.NOT_SET}}",))
    assert text.startswith(
        "app:server, field `ldflags`: {{.Env.NOT_SET}} cannot be filled in: the environment of "
        "Pants has no variable NOT_SET"
    )


def test_go_env_without_such_a_name(runner: RuleRunner) -> None:
    configure(runner, PATH=PATH)
    text = mistake(runner, ldflags=("{{.GoEnv.GONE}}",))
    assert "`go env` has no GONE; it has" in text
    assert "GOVERSION" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"flags": ("{{.Env.FLAG}}",)}, "field `flags`: the flag '-toolexec=x' cannot be used"),
        ({"ldflags": ("{{.Env.LD}}",)}, "field `ldflags`: -extld in the flag -ldflags"),
        ({"env": (("GOFLAGS", "{{.Env.FLAG}}"),)}, "field `env`: GOFLAGS: the flag '-toolexec=x'"),
    ],
)
def test_a_value_makes_no_flag_that_is_refused(
    runner: RuleRunner, fields: dict[str, tuple[str, ...]], words: str
) -> None:
    configure(runner, FLAG="-toolexec=x", LD="-extld=x")
    assert words in mistake(runner, **fields)


def test_a_flag_may_come_from_the_environment(runner: RuleRunner) -> None:
    configure(runner, FLAG="-tags=netgo")
    build = GoBuild("app:server", "app", flags=("{{.Env.FLAG}}",))
    (filled,) = runner.request(Filled, [Fill(build)]).builds
    assert filled.flags == ("-tags=netgo",)


def test_labels(runner: RuleRunner, repository: Path) -> None:
    use(runner, repository, VERSION="7")
    both = (AMD64, ARM)
    found = runner.request(FilledLabel, [FillLabel("{{.Git.Tag}}-{{.Env.VERSION}}", both)])
    assert found.text == "v1-7"
    assert runner.request(FilledLabel, [FillLabel("{{.Env.GOARCH}}")]).text == "amd64"


def test_a_label_is_the_same_for_all_platforms(runner: RuleRunner) -> None:
    text = error_of(runner, FilledLabel, [FillLabel("{{.Env.GOARCH}}", (AMD64, ARM))])
    assert text.startswith("app:image, field `image_labels`, 'l': the value of")
    assert "'amd64' for linux/amd64, 'arm' for linux/arm/v6" in text


@pytest.mark.parametrize("field", [GoExecutableLdflagsField, GoOciImageLabelsField])
def test_a_malformed_template_is_found_with_the_target(field: type) -> None:
    value = "{{if .Git.Tag}}"
    raw = {"l": value} if field is GoOciImageLabelsField else [value]
    with pytest.raises(Exception, match="expected") as e:
        field(raw, Address("app", target_name="t"))
    assert str(e.value).startswith(f"app:t, field `{field.alias}`")  # type: ignore[attr-defined]
