"""The script that brings blobs of the store to where an upload reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pants.testutil.rule_runner", reason="needs Pants' test library")

from pants.engine.fs import CreateDigest, Digest, DigestEntries, FileContent, FileEntry
from pants.testutil.rule_runner import QueryRule, RuleRunner
from posix_shells import command_of, in_every_shell

from ko_pants.oci.descriptor import Descriptor
from ko_pants.rules.blob_files import _LINK_OR_COPY, link_from_store

# Notes that it ran, and knows the options that macOS 11 knows.
TOOL = """#!/bin/sh
echo {name} >> "$RECORD"
case $1 in
  -L | -P | -T | -a | --*) echo "{name}: illegal option -- ${{1#-}}" >&2; exit 1 ;;
esac
exec {program} "$@"
"""


class Spool:
    """A sandbox, a store, and a directory for blobs."""

    def __init__(self, root: Path) -> None:
        self.root = root / "a sandbox"
        self.store = root / "the store"
        self.blobs = root / "the blobs"
        self.tools = root / "tools"
        self.record = root / "record"
        for directory in (self.root, self.store, self.blobs, self.tools):
            directory.mkdir()
        self.record.write_text("")
        for name in ("ln", "cp"):
            program = shutil.which(name, path="/usr/bin:/bin")
            tool = self.tools / name
            tool.write_text(TOOL.format(name=name, program=program))
            tool.chmod(0o755)

    def run(self, *pairs: str, shell: tuple[str, ...] = ("/bin/sh",)) -> tuple[int, list[str]]:
        """Exit code, and which tools were called."""
        done = subprocess.run(
            (*shell, "-c", _LINK_OR_COPY, "spool", *pairs),
            cwd=self.root,
            env={"PATH": f"{self.tools}:/usr/bin:/bin", "RECORD": str(self.record)},
            check=False,
        )
        return done.returncode, self.record.read_text().split()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


@in_every_shell
def test_a_file_and_a_link_become_hard_links_without_options_of_gnu(
    spool: Spool, shell: str
) -> None:
    start = command_of(shell)
    (spool.root / "aa").write_text("a")
    (spool.store / "b").write_text("b")
    (spool.root / "bb").symlink_to(spool.store / "b")
    first, second = spool.blobs / "first", spool.blobs / "second"
    assert spool.run("aa", str(first), "bb", str(second), shell=start) == (0, ["ln", "ln"])
    assert os.path.samefile(first, spool.root / "aa")
    assert os.path.samefile(second, spool.store / "b")
    assert not second.is_symlink()


def test_what_is_there_stays(spool: Spool) -> None:
    (spool.root / "aa").write_text("a")
    (spool.blobs / "x").write_text("of another image")
    assert spool.run("aa", str(spool.blobs / "x")) == (0, [])
    assert (spool.blobs / "x").read_text() == "of another image"


def test_a_link_to_a_link_is_copied(spool: Spool) -> None:
    (spool.store / "b").write_text("b")
    (spool.store / "l").symlink_to("b")
    (spool.root / "bb").symlink_to(spool.store / "l")
    assert spool.run("bb", str(spool.blobs / "x")) == (0, ["cp"])
    assert (spool.blobs / "x").read_text() == "b"
    assert not (spool.blobs / "x").is_symlink()


def test_what_cannot_be_linked_is_copied(spool: Spool) -> None:
    (spool.tools / "ln").write_text("#!/bin/sh\nexit 1\n")
    (spool.root / "aa").write_text("a")
    assert spool.run("aa", str(spool.blobs / "x")) == (0, ["cp"])
    assert [p.name for p in spool.blobs.iterdir()] == ["x"]
    assert (spool.blobs / "x").read_text() == "a"


def test_what_cannot_be_written_fails(spool: Spool) -> None:
    (spool.root / "aa").write_text("a")
    assert spool.run("aa", str(spool.root / "missing/x"))[0] != 0
    assert spool.run("absent", str(spool.blobs / "x"))[0] != 0


LARGE = b"large" * 200_000


@pytest.fixture
def kept(tmp_path: Path) -> tuple[str, Descriptor]:
    """Pants' store with a large blob, as Pants itself keeps it."""
    store = tmp_path / "pants store"
    engine = RuleRunner(
        rules=[QueryRule(Digest, [CreateDigest]), QueryRule(DigestEntries, [Digest])],
        bootstrap_args=[f"--local-store-dir={store}"],
    )
    digest = engine.request(Digest, [CreateDigest([FileContent("layer", LARGE)])])
    (entry,) = engine.request(DigestEntries, [digest])
    assert isinstance(entry, FileEntry)
    blob = Descriptor("x", f"sha256:{entry.file_digest.fingerprint}", len(LARGE))
    return str(store), blob


def test_a_large_blob_of_pants_store_is_linked_without_a_process(
    kept: tuple[str, Descriptor], tmp_path: Path
) -> None:
    store, blob = kept
    path = tmp_path / "blob"
    assert link_from_store(store, {blob: str(path)}) == {}
    assert path.read_bytes() == LARGE
    assert path.stat().st_nlink > 1
    # Another image has the same layer.
    assert link_from_store(store, {blob: str(path)}) == {}


def test_what_is_not_there_as_a_file_of_its_size_comes_another_way(
    kept: tuple[str, Descriptor], tmp_path: Path
) -> None:
    store, blob = kept
    path = str(tmp_path / "blob")
    small = Descriptor("x", "sha256:" + "0" * 64, 10)
    cut = replace(blob, size=blob.size + 1)
    assert link_from_store(store, {small: path, cut: path}) == {small: path, cut: path}
    nowhere = str(tmp_path / "no directory" / "blob")
    assert link_from_store(store, {blob: nowhere}) == {blob: nowhere}
    assert not os.path.exists(path)
