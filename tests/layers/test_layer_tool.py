"""The layer process as the sandbox runs it: shipped files, isolated interpreter, no packages."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ko_pants.layers.tool_files import ENTRY_POINT, tool_files


def _install(directory: Path, encoding: str) -> Path:
    for name, content in tool_files(encoding).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _install(tmp_path_factory.mktemp("tool"), "gzip")


def _run(tool: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(tool / ENTRY_POINT), *arguments],
        cwd=cwd,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


def _binary_spec(**changes: Any) -> str:
    return json.dumps(
        {
            "layout": "binary",
            "os": "linux",
            "app_name": "test",
            "executable": "bin/test",
            "encoding": "gzip",
            "level": 1,
            "chunk_bytes": 1 << 20,
            "output": "layer",
            **changes,
        }
    )


def _assert_fails(result: subprocess.CompletedProcess[str], cwd: Path, message: str) -> None:
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.startswith("layer_tool: ")
    assert result.stderr.count("\n") == 1
    assert not (cwd / "layer").exists()
    assert not (cwd / "layer.partial").exists()


@pytest.mark.parametrize(("encoding", "level"), [("gzip", 1), ("zstd", 3), ("none", 0)])
def test_an_executable_becomes_a_layer(tmp_path: Path, encoding: str, level: int) -> None:
    tool = _install(tmp_path / "tool", encoding)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "test").write_text("hello binary\n")
    result = _run(tool, tmp_path, _binary_spec(encoding=encoding, level=level))
    assert result.stderr == ""
    layer = (tmp_path / "layer").read_bytes()
    assert json.loads(result.stdout) == {
        "diff_id": "sha256:bc4c338f2ccf288f9ef86ab119362c504e32769891e1d8083ac46a113a5ae77b",
        "tar_size": 2560,
        "digest": "sha256:" + hashlib.sha256(layer).hexdigest(),
        "size": len(layer),
    }
    assert result.stdout.count("\n") == 1
    assert not list(tool.rglob("__pycache__")), "the sandbox's inputs were written to"


def test_kodata_becomes_a_layer(tool: Path, tmp_path: Path) -> None:
    (tmp_path / "src" / "kodata").mkdir(parents=True)
    (tmp_path / "src" / "kodata" / "kenobi").symlink_to("../hello")
    (tmp_path / "src" / "hello").write_text("Hello there\n")
    spec = {
        "layout": "kodata",
        "os": "linux",
        "root": "src/kodata",
        "epoch": 1700000000,
        "encoding": "gzip",
        "level": 1,
        "chunk_bytes": 1 << 20,
        "output": "layer",
    }
    result = _run(tool, tmp_path, json.dumps(spec))
    assert json.loads(result.stdout)["diff_id"] == (
        "sha256:13eab25efdc3af68718dfebc553984da7d5b15efbfcb346d53066a0c267bca0a"
    )
    (tmp_path / "layer").unlink()
    narrow = json.dumps({**spec, "allowed_root": "src/kodata"})
    _assert_fails(_run(tool, tmp_path, narrow), tmp_path, "outside the allowed root")


def test_failures_are_one_line_and_leave_nothing(tool: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ([_binary_spec()], "No such file or directory: bin/test"),
        ([_binary_spec(executable=".")], "is not a regular file"),
        ([_binary_spec(layout="rootfs")], "expected 'binary' or 'kodata'"),
        ([_binary_spec(capabilities="xyz")], "cannot read the spec"),
        (["{"], "cannot read the spec"),
        ([], "cannot read the spec"),
    ):
        _assert_fails(_run(tool, tmp_path, *arguments), tmp_path, message)


def test_a_compressor_that_does_not_load_is_explained(tmp_path: Path) -> None:
    tool = _install(tmp_path / "tool", "gzip")
    (extension,) = (tool / "deflate").glob("_deflate*")
    extension.rename(extension.with_name("_deflate.cpython-35m-x86_64-linux-gnu.so"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "test").write_text("")
    result = _run(tool, tmp_path, _binary_spec())
    _assert_fails(result, tmp_path, "cannot load the compressor 'deflate'")
    assert "_deflate.cpython-35m-x86_64-linux-gnu.so" in result.stderr


_MEASURE = """
import resource, runpy, sys
try:
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    assert not stop.code
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(int(own.split()[1]), workers, file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_executable(tool: Path, tmp_path: Path) -> None:
    if not os.path.exists("/proc/self/status"):
        pytest.skip("this system has no /proc/self/status")
    (tmp_path / "bin").mkdir()
    piece = random.Random(4).getrandbits(8 << 16).to_bytes(1 << 16, "big")
    peaks = []
    for mebibytes in (20, 80):
        with (tmp_path / "bin" / "test").open("wb") as file:
            for _ in range(mebibytes * 16):
                file.write(piece)
        spec = _binary_spec(workers=2)
        result = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MEASURE, str(tool / ENTRY_POINT), spec],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
            check=True,
        )
        own, worker = map(int, result.stderr.split())  # KiB
        assert worker, "no process was forked"
        peaks.append(own + 2 * worker)
    assert peaks[1] - peaks[0] < 8 << 10
    assert peaks[1] < 200 << 10
