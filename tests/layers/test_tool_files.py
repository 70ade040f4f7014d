"""The files of the layer tool: what the sandbox needs, and no more."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from importlib import machinery
from pathlib import Path
from typing import Optional

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers import tool_files as tool_files_module
from ko_pants.layers.tool_files import tool_files

_MODULES = ("blob", "chunked", "compressor_pool", "contents", "encoders", "estargz", "tar")


# Of the modules of this package that go into the sandbox. They are in the key of the process that
# makes a layer. With another digest each layer is packed once more, on every machine and in every
# remote cache: then that is a line in bold in CHANGELOG.md.
_DIGEST = "f83be37108517dc9f11a665230d94c523d9b41394084b30dfe9773d7c86d8dc8"


def test_the_key_of_a_layer_is_that_of_the_last_release() -> None:
    digest = hashlib.sha256()
    for name, content in sorted(tool_files("none").items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    assert digest.hexdigest() == _DIGEST


@pytest.mark.parametrize(
    ("encoding", "package"),
    [
        ("gzip", {"deflate/__init__.py"}),
        ("zstd", {"zstandard/__init__.py"}),
        ("estargz", {"deflate/__init__.py"}),
        ("none", set()),
    ],
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
        *(f"ko_pants/layers/{name}.py" for name in _MODULES),
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
    for spec in (None, machinery.ModuleSpec("deflate", None)):
        _find_spec_of_deflate(monkeypatch, spec)
        with pytest.raises(KoPantsError, match="'deflate', which compresses layers, is not inst"):
            tool_files("gzip")


def test_a_package_that_is_one_extension_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As deflate 0.7 is.
    name = "deflate" + machinery.EXTENSION_SUFFIXES[0]
    (tmp_path / name).write_bytes(b"\x7fELF")
    _find_spec_of_deflate(
        monkeypatch, machinery.ModuleSpec("deflate", None, origin=str(tmp_path / name))
    )
    assert tool_files("gzip")[name] == b"\x7fELF"


def test_of_several_extension_modules_the_one_that_import_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "deflate"
    package.mkdir()
    (package / "__init__.py").write_text("init")
    for suffix in machinery.EXTENSION_SUFFIXES:
        (package / f"_deflate{suffix}").write_text(suffix)
    spec = machinery.ModuleSpec("deflate", None, is_package=True)
    spec.submodule_search_locations = [str(package)]
    _find_spec_of_deflate(monkeypatch, spec)
    first = machinery.EXTENSION_SUFFIXES[0]
    found = {name: content for name, content in tool_files("gzip").items() if "_deflate" in name}
    assert found == {f"deflate/_deflate{first}": first.encode()}
    assert tool_files("gzip")["deflate/__init__.py"] == b"init"


def test_the_modules_are_those_that_the_tests_import() -> None:
    files = tool_files("none")
    for name in ("layers/tar", "errors"):
        path = Path(tool_files_module.__file__).parents[1] / f"{name}.py"
        assert files[f"ko_pants/{name}.py"] == path.read_bytes()
    entry_point = Path(tool_files_module.__file__).with_name("layer_tool.py")
    assert files[tool_files_module.ENTRY_POINT] == entry_point.read_bytes()


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(KoPantsError, match="'lz4': expected one of gzip, zstd, none"):
        tool_files("lz4")


def test_an_incomplete_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgutil.get_data", lambda package, name: None)
    with pytest.raises(KoPantsError, match=r"installed without layers/layer_tool\.py: reinstall"):
        tool_files("none")


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
    with pytest.raises(KoPantsError, match=r"deflate has no '_deflate' for this interpreter \(\."):
        tool_files("gzip")
