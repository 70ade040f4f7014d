"""The layer process: `python -I -S <tool directory>/layer_tool.py '<JSON spec>'`.

Reads an executable or a kodata tree, writes a layer blob, and prints one line of JSON:
`{"diff_id": "sha256:...", "tar_size": N, "digest": "sha256:...", "size": M}`. A failure is one line
on stderr, exit status 1 and no output file.

The spec's keys: `layout` ("binary" or "kodata"), `os` (GOOS), `encoding`, `level`, `chunk_bytes`,
`output`; for "binary" `executable`, `app_name` and optionally `capabilities` (hexadecimal); for
"kodata" `root`, `allowed_root` (default ".") and `epoch` (default 0); optionally `workers`. Paths
are relative to the working directory.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Isolated mode leaves the script's directory out, and the inputs are not ours to write to.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.dont_write_bytecode = True

import json
import signal
from typing import Any, Dict, Iterator

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import write_blob
from ko_pants.layers.layout import binary_entries, kodata_entries
from ko_pants.layers.tar import Entry


def entries_of(spec: Dict[str, Any]) -> Iterator[Entry]:
    """The archive entries that the spec asks for."""
    layout = spec["layout"]
    if layout == "binary":
        return binary_entries(
            os.fsencode(spec["executable"]),
            os_name=spec["os"],
            app_name=spec["app_name"],
            capabilities=bytes.fromhex(spec.get("capabilities") or ""),
        )
    if layout == "kodata":
        return kodata_entries(
            os.fsencode(spec["root"]),
            os_name=spec["os"],
            allowed_root=os.fsencode(spec.get("allowed_root", ".")),
            epoch=spec.get("epoch", 0),
        )
    raise KoPantsError(f"unknown layer layout {layout!r}: expected 'binary' or 'kodata'.")


def main(arguments: list[str]) -> int:
    """Run the tool; returns the exit status."""

    def terminate(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        spec = json.loads(arguments[0])
        entries = entries_of(spec)
        encoding, level, output = spec["encoding"], spec["level"], spec["output"]
        chunk_bytes = spec["chunk_bytes"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        return _fail(f"cannot read the spec ({error!r}); expected one argument: {__doc__}")
    except KoPantsError as error:
        return _fail(str(error))
    try:
        written = write_blob(
            *(entries, encoding, level, output),
            chunk_bytes=chunk_bytes,
            workers=spec.get("workers", 0),
        )
    except KoPantsError as error:
        message = str(error)
    except OSError as error:
        # Failures of a write name no file.
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
