"""The fixture itself: the server starts, keeps its blobs, and comes back at its address."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from remote.buildgrid import CONFIG, REPO, BuildGrid, buildgrid_environment


def _bgd(server: BuildGrid, *args: str) -> subprocess.CompletedProcess[str]:
    bgd = buildgrid_environment() / "bin" / "bgd"
    return subprocess.run(
        [str(bgd), "cas", f"--remote=http://{server.address}", *args],
        capture_output=True,
        text=True,
        check=False,
    )


def test_blobs_outlive_the_server(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(b"content")
    with BuildGrid(tmp_path / "server") as server:
        address = server.address
        sent = _bgd(server, "upload-file", str(file))
        assert sent.returncode == 0, sent.stderr
        digest = f"{hashlib.sha256(file.read_bytes()).hexdigest()}/7"
        server.kill()
        assert server.start() == address
        got = _bgd(server, "download-file", digest, str(tmp_path / "back"))
        assert got.returncode == 0, got.stderr
        assert (tmp_path / "back").read_bytes() == b"content"


def test_the_docs_show_the_config_of_the_tests() -> None:
    page = (REPO / "docs" / "remote-cache.md").read_text()
    assert f"```\n{CONFIG.read_text()}```\n" in page
    version = (REPO / "requirements-buildgrid.txt").read_text().splitlines()[1]
    assert f"pip install {version}\n" in page
