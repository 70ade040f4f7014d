from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib import machinery, metadata
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.encodings import (
    ENCODINGS,
    LayerEncoding,
    _compressor,
)
from ko_pants.layers.tool_files import tool_files


@pytest.mark.parametrize(
    ("encoding", "level", "expected"),
    [
        ("gzip", 1, "deflate-{deflate}/gzip-1/1MiB"),
        ("gzip", 12, "deflate-{deflate}/gzip-12/1MiB"),
        ("zstd", 3, "zstandard-{zstandard}/zstd-3/2MiB"),
        ("none", 0, "none"),
    ],
)
def test_compressor_id_names_what_determines_the_bytes(
    encoding: str, level: int, expected: str
) -> None:
    versions = {name: metadata.version(name) for name in ("deflate", "zstandard")}
    assert LayerEncoding(encoding, level).compressor == expected.format(**versions)


@pytest.mark.parametrize(
    ("encoding", "level"), [("gzip", 0), ("gzip", 13), ("zstd", 0), ("zstd", 23), ("none", 1)]
)
def test_a_level_out_of_range_is_refused(encoding: str, level: int) -> None:
    with pytest.raises(KoPantsError, match=f"'{encoding}' has no compression level {level}"):
        LayerEncoding(encoding, level)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_defaults_are_valid(encoding: Any) -> None:
    assert LayerEncoding(encoding.name, encoding.default_level).compressor


def test_an_unknown_encoding_is_refused() -> None:
    functions: list[Callable[[str], Any]] = [tool_files, lambda name: LayerEncoding(name, 1)]
    for function in functions:
        with pytest.raises(KoPantsError, match="'lz4': expected one of gzip, zstd, none"):
            function("lz4")


@pytest.mark.parametrize(
    ("encoding", "package"),
    [("gzip", {"deflate/__init__.py"}), ("zstd", {"zstandard/__init__.py"}), ("none", set())],
)
def test_the_tool_is_small(encoding: str, package: set[str]) -> None:
    files = tool_files(encoding)
    extensions = {name for name in files if name.endswith(tuple(machinery.EXTENSION_SUFFIXES))}
    assert len(extensions) == len(package)
    assert set(files) - extensions - package == {
        "layer_tool.py",
        "ko_pants/__init__.py",
        "ko_pants/errors.py",
        "ko_pants/layers/__init__.py",
        *(f"ko_pants/layers/{name}.py" for name in ("blob", "compress", "layout", "tar")),
    }


def test_naming_the_files_loads_no_compressor() -> None:
    program = (
        "import sys\n"
        "from ko_pants.layers.encodings import LayerEncoding\n"
        "from ko_pants.layers.tool_files import tool_files\n"
        "for encoding, level in (('gzip', 1), ('zstd', 3)):\n"
        "    tool_files(encoding), LayerEncoding(encoding, level).compressor\n"
        "print([name for name in ('deflate', 'zstandard') if name in sys.modules])\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert output == "[]\n"


def _find_spec_of_deflate(
    monkeypatch: pytest.MonkeyPatch, spec: Optional[machinery.ModuleSpec]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: spec if name == "deflate" else real(name)
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    _find_spec_of_deflate(monkeypatch, None)
    monkeypatch.setattr(metadata, "version", missing)
    _compressor.cache_clear()
    functions: list[Callable[[], Any]] = [
        lambda: tool_files("gzip"),
        lambda: LayerEncoding("gzip", 2).compressor,
    ]
    for function in functions:
        with pytest.raises(KoPantsError, match="'deflate', which compresses layers, is not inst"):
            function()


def test_a_package_for_another_interpreter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "deflate"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_deflate.cpython-35m-x86_64-linux-gnu.so").write_text("")
    spec = machinery.ModuleSpec("deflate", None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    _find_spec_of_deflate(monkeypatch, spec)
    with pytest.raises(KoPantsError, match="has no '_deflate' for this interpreter"):
        tool_files("gzip")
