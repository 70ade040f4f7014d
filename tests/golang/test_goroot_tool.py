"""The process that unpacks a Go toolchain."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from ko_pants.golang.goroot_tool import main

FILES = {
    "VERSION": 0o644,
    "bin/go": 0o755,
    "pkg/tool/linux_amd64/compile": 0o755,
    "src/fmt/print.go": 0o644,
    "src/fmt/print_test.go": 0o644,
    "src/fmt/testdata/x": 0o644,
    "src/cmd/go/main.go": 0o644,
    "src/cmd.go": 0o644,
    "test/x.go": 0o644,
}
KEPT = ["VERSION", "bin/go", "pkg/tool/linux_amd64/compile", "src/cmd.go", "src/fmt/print.go"]


def make_tar(path: Path, root: str, files: dict[str, int]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, mode in files.items():
            info = tarfile.TarInfo(root + name)
            info.size, info.mode = len(name), mode
            archive.addfile(info, io.BytesIO(name.encode()))


def make_zip(path: Path, root: str, files: dict[str, int]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in files:
            # Without permissions, as some archives are.
            archive.writestr(root + name, name)


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("root", ["", "go/", "a/b/"])
def test_what_a_build_reads(
    make: Callable[[Path, str, dict[str, int]], None], root: str, tmp_path: Path
) -> None:
    make(tmp_path / "archive", root, FILES)
    assert main([str(tmp_path / "archive"), str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert found == KEPT
    assert all((out / name).read_text() == name for name in KEPT)
    runs = [name for name in KEPT if (out / name).stat().st_mode & 0o111]
    assert runs == ["bin/go", "pkg/tool/linux_amd64/compile"]


def test_links_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w") as archive:
        for name in ("VERSION", "bin/go"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("src")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("src/passwd"), io.BytesIO())
    assert main([str(tmp_path / "archive"), str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out/src").is_symlink()


@pytest.mark.parametrize(
    ("name", "text"),
    [("../VERSION", "found no GOROOT"), ("../x", "found the path")],
)
def test_paths_that_lead_out(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"bin/go": 0o755, name: 0o644}
    if name != "../VERSION":
        files["VERSION"] = 0o644
    make_tar(tmp_path / "archive", "", files)
    assert main([str(tmp_path / "archive"), str(tmp_path / "out")]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_no_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "archive").write_text("text")
    assert main([str(tmp_path / "archive"), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "expected a tar, a zip or a wheel\n"
