"""The layer process: `python -I -S <tool directory>/layer_tool.py '<JSON spec>'`.

Writes a layer blob and prints one line of JSON: `{"diff_id": "sha256:...", "tar_size": N, "size":
M, "annotations": {...}}`; annotations are for the layer's descriptor. A failure is one line on
stderr, exit status 1 and no output file.

The spec is `{"content": {...}, "os": GOOS, "encoding": name, "level": N, "chunk_bytes": N,
"output": path}`; `LayerEncoding.tool_spec` gives encoding, level and chunk_bytes. Optional:
`"workers": N` processes that compress, and `"python": "cp39"`, the version that has to run this.
Paths are relative to the working directory. Contents are:

- `{"type": "executable", "file": path, "app_name": name}`, optionally `"capabilities": hex`, the
  value of the extended attribute `security.capability`;
- `{"type": "tree", "root": path, "at": path in the image}`, optionally `"mtime": seconds`,
  `"file_mode"`, `"executable_mode"` and `"directory_mode"` (numbers, default 0o555), `"uid"`,
  `"gid"`, `"directories"` (`all`, `tree` or `none`) and `"allowed_root"` (default "."; links may
  not lead out of it). Defaults are ko's for kodata.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Isolated mode leaves out the script's directory. The inputs must not be written to.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.dont_write_bytecode = True

import json
import signal
from typing import Any, Callable, Dict, Iterator, List, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import Encoder, write_blob
from ko_pants.layers.contents import executable_entries, tree_entries
from ko_pants.layers.encoders import EncoderSettings, encoder
from ko_pants.layers.tar import TarEntry


def _executable(content: Dict[str, Any], os_name: str) -> Iterator[TarEntry]:
    return executable_entries(
        os.fsencode(content["file"]),
        os_name=os_name,
        app_name=content["app_name"],
        capabilities=bytes.fromhex(content.get("capabilities") or ""),
    )


def _tree(content: Dict[str, Any], os_name: str) -> Iterator[TarEntry]:
    modes = ("file_mode", "executable_mode", "directory_mode")
    optional = ("mtime", *modes, "uid", "gid", "directories")
    return tree_entries(
        os.fsencode(content["root"]),
        at=os.fsencode(content["at"]),
        os_name=os_name,
        allowed_root=os.fsencode(content.get("allowed_root", ".")),
        **{key: content[key] for key in optional if key in content},
    )


#: The entries of each type of content, from its part of the spec and GOOS.
CONTENTS: Dict[str, Callable[[Dict[str, Any], str], Iterator[TarEntry]]] = {
    "executable": _executable,
    "tree": _tree,
}


def read_spec(argument: str) -> Tuple[Iterator[TarEntry], Encoder, str]:
    """The entries, the encoder and the output file that a spec asks for.

    :raises KoPantsError: an unknown content or encoding, one that cannot be had, or another Python.
    :raises KeyError, TypeError, ValueError: the argument is not a spec.
    """
    spec = json.loads(argument)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    if spec.get("python", python) != python:
        raise KoPantsError(
            f"this is Python {python} in the place of {spec['python']}: it was replaced while "
            "Pants worked with it; run Pants again"
        )
    content, output = spec["content"], spec["output"]
    entries = CONTENTS.get(content["type"])
    if entries is None:
        raise KoPantsError(
            f"unknown layer content {content['type']!r}: expected one of {', '.join(CONTENTS)}."
        )
    settings = EncoderSettings(spec["level"], spec["chunk_bytes"], spec.get("workers", 0))
    return entries(content, spec["os"]), encoder(spec["encoding"], settings), output


def main(arguments: List[str]) -> int:
    """Run the tool; returns the exit status."""

    def terminate(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        entries, encode, output = read_spec(arguments[0])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        return _fail(f"cannot read the spec ({error!r}); expected one argument: {__doc__}")
    except KoPantsError as error:
        return _fail(str(error))
    try:
        written = write_blob(entries, encode, output)
    except KoPantsError as error:
        message = str(error)
    except OSError as error:
        # A failed write does not name the file.
        file = os.fsdecode(error.filename) if error.filename else f"while writing {output}"
        message = f"{error.strerror}: {file}"
    except KeyboardInterrupt:
        message = "interrupted"
    except MemoryError:
        message = "out of memory"
    else:
        print(json.dumps(written._asdict()))
        return 0
    return _fail(message)


def _fail(message: str) -> int:
    print("layer_tool: " + " ".join(message.split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
