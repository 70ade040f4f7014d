"""What `scripts/own` has ruff do to a file is what ruff does by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest

pytest.importorskip("pants.testutil.rule_runner", reason="needs Pants' test library")

from pants.backend.python.lint.ruff.subsystem import Ruff
from pants.backend.python.util_rules.pex import PexRequest, VenvPex
from pants.core.util_rules.config_files import ConfigFiles, ConfigFilesRequest
from pants.engine.fs import EMPTY_DIGEST, EMPTY_SNAPSHOT, Digest, MergeDigests
from pants.testutil.option_util import create_subsystem
from pants.testutil.rule_runner import MockGet, run_rule_with_mocks
from ruff_backend.register import rules
from ruff_backend.rules import (
    FIX,
    FORMAT,
    LINT,
    RuffFixRequest,
    RuffFormatRequest,
    RuffLintRequest,
    RuffRun,
    ruff_process,
)

REPO = Path(__file__).parent.parent
BAD = 'import os\nx  =  {  "a":1 }\n'
FIXED = 'x  =  {  "a":1 }\n'
FORMATTED = 'import os\n\nx = {"a": 1}\n'


class _Snapshot:
    """Stands for one of the engine, which a test cannot make."""

    digest = EMPTY_DIGEST
    dirs = ()

    def __init__(self, *files: str) -> None:
        self.files = files


def argv_of(command: Tuple[str, ...], *files: str) -> Tuple[str, ...]:
    """The arguments of ruff; the files are its output too."""
    ruff: Any = create_subsystem(Ruff, config=None, args=[], config_discovery=True)
    ruff.to_pex_request = lambda: PexRequest(output_filename="ruff.pex", internal_only=True)
    mocks: Tuple[Tuple[type, type, Callable[[Any], Any]], ...] = (
        (VenvPex, PexRequest, lambda _: None),
        (ConfigFiles, ConfigFilesRequest, lambda _: ConfigFiles(EMPTY_SNAPSHOT)),
        (Digest, MergeDigests, lambda _: EMPTY_DIGEST),
    )
    run: Any = RuffRun(command, _Snapshot(*files))  # type: ignore[arg-type]
    made = run_rule_with_mocks(
        ruff_process,
        rule_args=[run, ruff],
        mock_gets=[MockGet(output_type=o, input_types=(i,), mock=m) for o, i, m in mocks],
    )
    assert made.process.output_files == files
    return tuple(made.process.argv)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the configuration of the repository and a file that it wants changed."""
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def run(place: Path, argv: Tuple[str, ...]) -> int:
    """Run the ruff of this environment; its exit code."""
    return subprocess.run([sys.executable, "-m", "ruff", *argv], cwd=place, check=False).returncode


@pytest.mark.parametrize(
    ("command", "code", "text"), [(LINT, 1, BAD), (FIX, 0, FIXED), (FORMAT, 0, FORMATTED)]
)
def test_what_becomes_of_a_file(
    place: Path, command: Tuple[str, ...], code: int, text: str
) -> None:
    assert run(place, argv_of(command, "bad.py")) == code
    assert (place / "bad.py").read_text() == text


def test_it_is_what_ruff_makes_of_the_whole_directory(place: Path) -> None:
    shutil.copytree(place, place / "all")
    assert run(place / "all", ("format", ".")) == 0
    assert run(place, argv_of(FORMAT, "bad.py")) == 0
    assert (place / "bad.py").read_text() == (place / "all" / "bad.py").read_text()


@pytest.mark.parametrize("command", [LINT, FIX, FORMAT])
def test_what_ruff_cannot_read_is_a_failure(place: Path, command: Tuple[str, ...]) -> None:
    (place / "bad.py").write_text("def (\n")
    code = run(place, argv_of(command, "bad.py"))
    if command == FIX:
        # `lint` says so.
        assert code == 0
    else:
        assert code != 0
    assert (place / "bad.py").read_text() == "def (\n"


def test_the_names_in_the_output() -> None:
    names = {r.tool_name for r in (RuffLintRequest, RuffFixRequest, RuffFormatRequest)}
    assert names == {"ruff check", "ruff check --fix", "ruff format"}
    assert len([*rules()]) > len(names)
