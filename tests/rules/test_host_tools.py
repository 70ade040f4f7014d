"""Where Go and Python are found, and what of it a cache key may know."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.products import HostTools, HostToolsRequest
from ko_pants.rules.settings import GoEnvironment, Settings

PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return new_runner([(HostTools, [HostToolsRequest]), (Settings, []), (GoEnvironment, [])])


def fake_go(directory: Path, version: str, content: str = "") -> str:
    """A Go installation that can be looked at but not run; its `bin`."""
    (directory / "bin").mkdir(parents=True)
    (directory / "VERSION").write_text(f"{version}\ntime 2024-01-01T00:00:00Z\n")
    go = directory / "bin/go"
    go.write_text(content)
    go.chmod(0o755)
    return str(directory / "bin")


def search(runner: RuleRunner, *paths: str) -> None:
    configure(runner, f"--ko-go-search-paths={list(paths)}")


def name(tools: HostTools) -> str:
    """Of the link to Go."""
    assert tools.go is not None
    return tools.go.toolchain.name


def found(runner: RuleRunner, *paths: str) -> HostTools:
    search(runner, *paths)
    return runner.request(HostTools, [HostToolsRequest()])


def link(runner: RuleRunner, cache: str, name: str) -> Path:
    return Path(runner.request(Settings, []).named_caches, cache, name)


def test_without_go_the_error_says_where_was_searched_and_what_to_do(
    runner: RuleRunner, tmp_path: Path
) -> None:
    search(runner, str(tmp_path / "a"), str(tmp_path))
    text = error_of(runner, HostTools, [HostToolsRequest()])
    for word in (
        "no `go` tool of version 1.21 or newer",
        "found none",
        f"{tmp_path}/a:{tmp_path}",
        "[ko].go_search_paths",
        "Install Go",
    ):
        assert word in text


def test_an_empty_search_path(runner: RuleRunner) -> None:
    search(runner)
    assert "(empty)" in error_of(runner, HostTools, [HostToolsRequest()])


def test_a_go_that_is_too_old_is_named_with_its_version(runner: RuleRunner, tmp_path: Path) -> None:
    path = fake_go(tmp_path / "old", "go1.20.14")
    search(runner, path)
    text = error_of(runner, HostTools, [HostToolsRequest()])
    assert f"{path}/go is Go 1.20.14" in text


def test_the_first_that_is_new_enough_is_taken(runner: RuleRunner, tmp_path: Path) -> None:
    old = fake_go(tmp_path / "old", "go1.20.14")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "go").write_text("not executable")
    first = fake_go(tmp_path / "first", "go1.22.3")
    second = fake_go(tmp_path / "second", "go1.23.0")
    tools = found(runner, old, str(broken), first, second)
    assert name(tools).startswith("go1.22.3-")
    assert tools.python == PYTHON
    assert os.path.realpath(link(runner, "ko_pants_go", name(tools))) == str(tmp_path / "first")


def test_the_key_knows_no_path_of_this_machine(runner: RuleRunner, tmp_path: Path) -> None:
    first = fake_go(tmp_path / "a", "go1.22.3")
    second = fake_go(tmp_path / "b", "go1.22.3")
    assert found(runner, first) == found(runner, second)
    assert str(tmp_path) not in repr(found(runner, first))


def test_a_go_behind_a_link_is_found_where_it_lies(runner: RuleRunner, tmp_path: Path) -> None:
    real = fake_go(tmp_path / "real", "go1.24.1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").symlink_to(f"{real}/go")
    tools = found(runner, str(tmp_path / "bin"))
    assert os.path.realpath(link(runner, "ko_pants_go", name(tools))) == str(tmp_path / "real")


def test_a_shim_is_asked_where_go_lies(runner: RuleRunner, tmp_path: Path) -> None:
    fake_go(tmp_path / "real", "go1.25.0")
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "go").write_text(f"#!/bin/sh\necho {tmp_path}/real\n")
    (shims / "go").chmod(0o755)
    tools = found(runner, str(shims))
    assert name(tools).startswith("go1.25.0-")
    assert os.path.realpath(link(runner, "ko_pants_go", name(tools))) == str(tmp_path / "real")


def test_a_shim_is_asked_once(runner: RuleRunner, tmp_path: Path) -> None:
    fake_go(tmp_path / "real", "go1.25.1")
    shims = tmp_path / "shims"
    shims.mkdir()
    calls = tmp_path / "calls"
    (shims / "go").write_text(f"#!/bin/sh\necho called >> {calls}\necho {tmp_path}/real\n")
    (shims / "go").chmod(0o755)
    tools = found(runner, str(shims))
    assert found(runner, str(shims)) == tools
    assert calls.read_text() == "called\n"
    # Another time of change is another command.
    os.utime(shims / "go", (1, 1))
    assert found(runner, str(shims)) == tools
    assert calls.read_text() == "called\ncalled\n"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/nowhere\n"])
def test_a_command_that_is_no_go_is_passed_over(
    runner: RuleRunner, tmp_path: Path, text: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "go").write_text(text)
    (other / "go").chmod(0o755)
    good = fake_go(tmp_path / "good", "go1.22.9")
    # Also in later runs, where it is known.
    for _ in range(2):
        assert name(found(runner, str(other), good)).startswith("go1.22.9-")


def test_python_needs_no_go(runner: RuleRunner) -> None:
    search(runner)
    tools = runner.request(HostTools, [HostToolsRequest(python_only=True)])
    assert tools == HostTools(go=None, python=PYTHON)
    assert os.access(link(runner, "ko_pants_python", PYTHON), os.X_OK)


def test_a_deleted_cache_is_linked_again_in_the_next_run(
    runner: RuleRunner, tmp_path: Path
) -> None:
    path = fake_go(tmp_path / "go", "go1.22.7")
    tools = found(runner, path)
    shutil.rmtree(link(runner, "ko_pants_go", "x").parent)
    assert found(runner, path) == tools
    assert link(runner, "ko_pants_go", name(tools)).exists()


def test_a_link_that_leads_nowhere_any_more_is_renewed(runner: RuleRunner, tmp_path: Path) -> None:
    old = fake_go(tmp_path / "old", "go1.22.8")
    tools = found(runner, old)
    os.rename(tmp_path / "old", tmp_path / "moved")
    assert found(runner, str(tmp_path / "moved/bin")) == tools
    assert os.path.realpath(link(runner, "ko_pants_go", name(tools))) == str(tmp_path / "moved")


def goes_to(runner: RuleRunner, tools: HostTools) -> str:
    return os.path.realpath(link(runner, "ko_pants_go", name(tools)))


def test_a_link_that_leads_to_another_toolchain_is_replaced(
    runner: RuleRunner, tmp_path: Path
) -> None:
    path = fake_go(tmp_path / "go", "go1.23.1")
    tools = found(runner, path)
    place = link(runner, "ko_pants_go", name(tools))
    place.unlink()
    place.symlink_to(tmp_path)
    assert found(runner, path) == tools
    assert goes_to(runner, tools) == str(tmp_path / "go")


def test_a_toolchain_that_is_upgraded_in_its_place(runner: RuleRunner, tmp_path: Path) -> None:
    """1.23.2 at `go/`, upgraded there to 1.23.3, then 1.23.2 from `sdk/`: never the other one."""
    path = fake_go(tmp_path / "go", "go1.23.2")
    old = found(runner, path)
    shutil.rmtree(tmp_path / "go")
    new = found(runner, fake_go(tmp_path / "go", "go1.23.3"))
    assert name(new).startswith("go1.23.3-")
    assert found(runner, fake_go(tmp_path / "sdk", "go1.23.2")) == old
    assert goes_to(runner, old) == str(tmp_path / "sdk")
    assert goes_to(runner, new) == str(tmp_path / "go")
    identity = link(runner, "ko_pants_go", f"{name(old)}.identity")
    assert identity.read_text() == "go1.23.2\n\n"


def test_a_toolchain_behind_a_shim_that_is_upgraded_in_its_place(
    runner: RuleRunner, tmp_path: Path
) -> None:
    fake_go(tmp_path / "real", "go1.23.4")
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "go").write_text(f"#!/bin/sh\necho {tmp_path}/real\n")
    (shims / "go").chmod(0o755)
    assert name(found(runner, str(shims))).startswith("go1.23.4-")
    shutil.rmtree(tmp_path / "real")
    fake_go(tmp_path / "real", "go1.23.5")
    # A release is unpacked with its own times.
    os.utime(tmp_path / "real/bin/go", (1, 1))
    assert name(found(runner, str(shims))).startswith("go1.23.5-")


def test_two_that_want_one_name_both_work(runner: RuleRunner, tmp_path: Path) -> None:
    paths = [fake_go(tmp_path / name, "go1.23.6") for name in ("a", "b")]
    for path in (*paths, *paths):
        tools = found(runner, path)
        assert goes_to(runner, tools) == os.path.dirname(path)
        identity = link(runner, "ko_pants_go", f"{name(tools)}.identity")
        assert identity.read_text() == "go1.23.6\n\n"


def test_a_link_that_leads_to_another_python_is_replaced(runner: RuleRunner) -> None:
    search(runner)
    place = link(runner, "ko_pants_python", PYTHON)
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    place.symlink_to("/bin/sh")
    runner.request(HostTools, [HostToolsRequest(python_only=True)])
    assert os.path.realpath(place) != os.path.realpath("/bin/sh")


def test_a_stale_goroot_does_not_keep_a_shim_from_being_asked(
    runner: RuleRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOROOT", str(tmp_path / "gone"))
    fake_go(tmp_path / "real", "go1.25.2")
    shims = tmp_path / "shims"
    shims.mkdir()
    text = f'#!/bin/sh\n[ -z "${{GOROOT-}}" ] || exit 2\necho {tmp_path}/real\n'
    (shims / "go").write_text(text)
    (shims / "go").chmod(0o755)
    assert name(found(runner, str(shims))).startswith("go1.25.2-")


def test_a_wrapper_may_need_goroot(
    runner: RuleRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path / "real", "go1.25.3")
    monkeypatch.setenv("GOROOT", str(tmp_path / "real"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text('#!/bin/sh\n[ -n "${GOROOT-}" ] && echo "$GOROOT"\n')
    (tmp_path / "bin/go").chmod(0o755)
    assert name(found(runner, str(tmp_path / "bin"))).startswith("go1.25.3-")


def test_the_private_environment_is_a_file_for_its_owner_and_of_this_run(
    runner: RuleRunner, tmp_path: Path
) -> None:
    path = fake_go(tmp_path / "go", "go1.22.2")
    files = []
    for password in ("first", "second"):
        proxy = f"https://u:{password}@proxy.example.com"
        configure(runner, f"--ko-go-search-paths=['{path}']", GOPROXY=proxy)
        tools = runner.request(HostTools, [HostToolsRequest()])
        environment = runner.request(GoEnvironment, [])
        assert password not in f"{tools}{environment}{dict(environment.variables)}"
        file = link(runner, "ko_pants_go", environment.private_file)
        assert password in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        files.append(file)
    assert files[0] == files[1]
