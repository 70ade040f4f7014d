"""The files that the layer process needs in its sandbox: modules of this package, a compressor."""

from __future__ import annotations

import os
import pkgutil
from importlib import machinery, util

from ko_pants.errors import KoPantsError
from ko_pants.layers.encodings import Encoding, encoding_of, not_installed

#: The script to run, relative to the directory that holds the files.
ENTRY_POINT = "layer_tool.py"
_MODULES = (
    "errors.py",
    "layers/blob.py",
    "layers/chunked.py",
    "layers/compressor_pool.py",
    "layers/contents.py",
    "layers/encoders.py",
    "layers/estargz.py",
    "layers/tar.py",
)


def tool_files(encoding: str) -> dict[str, bytes]:
    """The content of every file of the layer tool for one encoding, by relative path.

    The modules keep their import names, so the sandbox runs what the tests import. The extension
    module is that of the running interpreter, so the process must run the same Python version.

    :raises KoPantsError: the encoding is unknown; its package is not installed, or has no extension
        module for this interpreter.
    """
    files = {
        ENTRY_POINT: _source("layers/layer_tool.py"),
        "ko_pants/__init__.py": b"",
        "ko_pants/layers/__init__.py": b"",
    }
    for name in _MODULES:
        files["ko_pants/" + name] = _source(name)
    found = encoding_of(encoding)
    if found.package:
        files.update(_package_files(found))
    return files


def _source(name: str) -> bytes:
    content = pkgutil.get_data("ko_pants", name)
    if content is None:
        raise KoPantsError(f"ko_pants is installed without {name}: reinstall it.")
    return content


def _package_files(encoding: Encoding) -> dict[str, bytes]:
    spec = util.find_spec(encoding.package)
    if spec is None:
        raise not_installed(encoding.package)
    if not spec.submodule_search_locations:
        # deflate before 0.8 (0.7 is the last for CPython 3.8) is a single extension module.
        if not spec.origin:
            raise not_installed(encoding.package)
        with open(spec.origin, "rb") as file:
            return {os.path.basename(spec.origin): file.read()}
    directory = spec.submodule_search_locations[0]
    files: dict[str, bytes] = {}
    for module in encoding.modules:
        # Tried in the interpreter's own order, so this is the file that `import` would load.
        suffixes = [""] if module.endswith(".py") else machinery.EXTENSION_SUFFIXES
        for suffix in suffixes:
            path = os.path.join(directory, module + suffix)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    files[f"{encoding.package}/{module}{suffix}"] = file.read()
                break
        else:
            raise KoPantsError(
                f"the Python package {encoding.package!r} in {directory} has no {module!r} for "
                f"this interpreter ({machinery.EXTENSION_SUFFIXES[0]}): reinstall it for the "
                "Python that runs Pants."
            )
    return files
