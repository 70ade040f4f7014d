"""The JSON schemas of the OCI image-spec, as its Go module ships them.

`scripts/test` fetches the module where it can; tests skip without it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import fastjsonschema  # type: ignore[import-untyped]
import pytest

MODULE = "github.com/opencontainers/image-spec@v1.1.1"

_FILES = {
    "config": "config-schema.json",
    "manifest": "image-manifest-schema.json",
    "index": "image-index-schema.json",
    "layout": "image-layout-schema.json",
}


def check_against_schema(kind: str, content: bytes) -> None:
    """Fail the test if a document is not as the image-spec says.

    :param kind: `config`, `manifest`, `index` or `layout` (the file `oci-layout`).
    """
    try:
        _validator(kind)(json.loads(content))
    except fastjsonschema.JsonSchemaException as e:
        pytest.fail(f"{kind}: {e}: {content.decode()}")


@functools.cache
def _validator(kind: str) -> Callable[[Any], Any]:
    directory = _directory()

    def read(uri: str) -> Any:
        text = (directory / uri.rpartition("/")[2]).read_text()
        # The library takes every `$` of a pattern for its end, those in brackets too.
        return json.loads(text.replace("#$&", r"#\\x24&"))

    validator: Callable[[Any], Any] = fastjsonschema.compile(
        read(_FILES[kind]), handlers={"https": read}
    )
    return validator


def _directory() -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    cache = subprocess.run(
        [go, "env", "GOMODCACHE"], cwd="/", capture_output=True, text=True, check=True
    ).stdout.strip()
    directory = Path(os.environ.get("GOMODCACHE", cache)) / MODULE / "schema"
    if not directory.is_dir():
        pytest.skip(f"the Go module {MODULE} is not in the module cache")
    return directory
