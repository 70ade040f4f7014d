"""The layer process as the sandbox runs it: shipped files, isolated interpreter, no packages."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import pytest

from ko_pants.layers import layer_tool
from ko_pants.layers.blob import BlobSink, Encoder
from ko_pants.layers.encoders import ENCODERS, EncoderSettings
from ko_pants.layers.encodings import LayerEncoding
from ko_pants.layers.tar import TarEntry
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


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["process", "here"])
def run(
    request: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tool: Path,
    tmp_path: Path,
) -> Iterator[Run]:
    """Run the tool in the test's directory: as a process, and here, with the same outcome."""

    def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
        status = layer_tool.main(list(arguments))
        output = capsys.readouterr()
        return subprocess.CompletedProcess((), status, output.out, output.err)

    def run_process(*arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(tool, tmp_path, *arguments)

    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield run_here if request.param == "here" else run_process
    signal.signal(signal.SIGTERM, before)


def _spec(content: object, layer_encoding: LayerEncoding, **more: Any) -> str:
    return json.dumps(
        {"content": content, "os": "linux", **layer_encoding.tool_spec(), "output": "layer", **more}
    )


EXECUTABLE = {"type": "executable", "file": "bin/test", "app_name": "test"}
GZIP = LayerEncoding("gzip", 1)


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
    result = _run(tool, tmp_path, _spec(EXECUTABLE, LayerEncoding(encoding, level)))
    assert result.stderr == ""
    layer = (tmp_path / "layer").read_bytes()
    assert json.loads(result.stdout) == {
        "diff_id": "sha256:bc4c338f2ccf288f9ef86ab119362c504e32769891e1d8083ac46a113a5ae77b",
        "tar_size": 2560,
        "size": len(layer),
        "annotations": {},
    }
    assert result.stdout.count("\n") == 1
    assert not list(tool.rglob("__pycache__")), "the sandbox's inputs were written to"


def test_kodata_becomes_a_layer(run: Run, tmp_path: Path) -> None:
    (tmp_path / "src" / "kodata").mkdir(parents=True)
    (tmp_path / "src" / "kodata" / "kenobi").symlink_to("../hello")
    (tmp_path / "src" / "hello").write_text("Hello there\n")
    content = {"type": "tree", "root": "src/kodata", "at": "/var/run/ko", "mtime": 1700000000}
    result = run(_spec(content, GZIP))
    assert json.loads(result.stdout)["diff_id"] == (
        "sha256:13eab25efdc3af68718dfebc553984da7d5b15efbfcb346d53066a0c267bca0a"
    )
    (tmp_path / "layer").unlink()
    narrow = _spec({**content, "allowed_root": "src/kodata"}, GZIP)
    _assert_fails(run(narrow), tmp_path, "outside the allowed root")


def test_a_tree_has_its_own_place_modes_and_owner(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x")
    content = {
        **{"type": "tree", "root": "tree", "at": "/etc/app", "directories": "tree", "mtime": 5},
        **{"file_mode": 0o640, "directory_mode": 0o750, "uid": 7, "gid": 8},
    }
    assert run(_spec(content, GZIP)).stderr == ""
    with tarfile.open(tmp_path / "layer") as tar:
        found = [(m.name, m.mode, m.uid, m.gid, m.mtime, m.isdir()) for m in tar.getmembers()]
    assert found == [
        ("/etc/app", 0o750, 7, 8, 5, True),
        ("/etc/app/file", 0o640, 7, 8, 5, False),
    ]


def test_the_system_and_capabilities_reach_the_layer(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "test").write_text("hello binary\n")
    result = run(_spec(EXECUTABLE, GZIP, os="windows"))
    assert json.loads(result.stdout)["diff_id"] == (
        "sha256:165938cd04fa556449793c3185b8b1baed38ecc48014a18c9c394401e1253f4c"
    )
    (tmp_path / "layer").unlink()
    content = {**EXECUTABLE, "capabilities": b"\1\0caps".hex()}
    assert run(_spec(content, GZIP)).stderr == ""
    with tarfile.open(tmp_path / "layer") as tar:
        records = tar.getmembers()[1].pax_headers
    assert records == {"SCHILY.xattr.security.capability": "\1\0caps"}
    empty = {**EXECUTABLE, "capabilities": ""}
    assert json.loads(run(_spec(empty, GZIP)).stdout)["tar_size"] == 2560


def test_failures_are_one_line_and_leave_nothing(run: Run, tmp_path: Path) -> None:
    lacking = json.dumps({"content": EXECUTABLE, "os": "linux", "output": "layer"})
    for arguments, message in (
        ([_spec(EXECUTABLE, GZIP)], "No such file or directory: bin/test"),
        ([_spec({**EXECUTABLE, "file": "."}, GZIP)], ". is not a regular file"),
        ([_spec({"type": "rootfs"}, GZIP)], "content 'rootfs': expected one of executable, tree."),
        ([_spec({**EXECUTABLE, "capabilities": "xyz"}, GZIP)], "cannot read the spec"),
        ([_spec({"type": "tree", "root": "."}, GZIP)], "cannot read the spec (KeyError('at'))"),
        ([_spec(EXECUTABLE, GZIP, encoding="lz4")], "'lz4': expected one of gzip, zstd, none"),
        ([_spec("x", GZIP)], "cannot read the spec (TypeError"),
        ([_spec(EXECUTABLE, GZIP, python="cp35")], "in the place of cp35: it was replaced while"),
        ([lacking], "cannot read the spec (KeyError('level')); expected one argument:"),
        (["{"], "cannot read the spec"),
        ([], "cannot read the spec (IndexError"),
    ):
        _assert_fails(run(*arguments), tmp_path, message)


def test_a_full_disk_names_the_output(run: Run, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "test").write_text("x")
    (tmp_path / "layer.partial").symlink_to("/dev/full")
    _assert_fails(
        run(_spec(EXECUTABLE, GZIP)), tmp_path, "No space left on device: while writing layer"
    )


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _lack_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize("run", ["here"], indirect=True)
@pytest.mark.parametrize(
    ("end", "message"),
    [
        (_terminate, "layer_tool: interrupted\n"),
        (_interrupt, "layer_tool: interrupted\n"),
        (_lack_memory, "layer_tool: out of memory\n"),
    ],
)
def test_an_early_end_leaves_nothing(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[], None],
    message: str,
) -> None:
    def entries(content: dict[str, Any], os_name: str) -> Iterator[TarEntry]:
        yield TarEntry(b"directory")
        end()

    monkeypatch.setitem(layer_tool.CONTENTS, "ending", entries)
    result = run(_spec({"type": "ending"}, GZIP))
    assert result.stderr == message
    _assert_fails(result, tmp_path, message.strip())


@pytest.mark.parametrize("run", ["here"], indirect=True)
def test_a_new_content_and_a_new_encoding_are_one_row_each(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries(content: dict[str, Any], os_name: str) -> Iterator[TarEntry]:
        yield TarEntry(f"{content['name']}-{os_name}".encode())

    def encode(entries: Iterable[TarEntry], sink: BlobSink) -> dict[str, str]:
        for entry in entries:
            sink.add_tar(b"tar")
            sink.add_encoded(entry.name)
        return {"toc": "sha256:12"}

    monkeypatch.setitem(layer_tool.CONTENTS, "named", entries)
    monkeypatch.setitem(ENCODERS, "estargz", lambda settings: encode)
    spec = {**json.loads(_spec({"type": "named", "name": "x"}, GZIP)), "encoding": "estargz"}
    written = json.loads(run(json.dumps(spec)).stdout)
    assert (tmp_path / "layer").read_bytes() == b"x-linux"
    assert (written["tar_size"], written["annotations"]) == (3, {"toc": "sha256:12"})


@pytest.mark.parametrize("run", ["here"], indirect=True)
def test_the_number_of_workers_reaches_the_encoder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[EncoderSettings] = []

    def make(settings: EncoderSettings) -> Encoder:
        seen.append(settings)
        return lambda entries, sink: {}

    monkeypatch.setitem(ENCODERS, "gzip", make)
    tree = {"type": "tree", "root": "nothing", "at": "/x"}
    assert run(_spec(tree, GZIP)).returncode == 0
    assert run(_spec(tree, GZIP, workers=3)).returncode == 0
    assert seen == [EncoderSettings(1, 1 << 20, 0), EncoderSettings(1, 1 << 20, 3)]


def test_a_compressor_that_does_not_load_is_explained(tmp_path: Path) -> None:
    tool = _install(tmp_path / "tool", "gzip")
    (extension,) = (tool / "deflate").glob("_deflate*")
    extension.rename(extension.with_name("_deflate.cpython-35m-x86_64-linux-gnu.so"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "test").write_text("")
    result = _run(tool, tmp_path, _spec(EXECUTABLE, GZIP))
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
        spec = _spec(EXECUTABLE, GZIP, workers=2)
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
