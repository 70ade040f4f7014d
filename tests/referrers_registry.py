"""A registry with the referrers API: that of go-containerregistry, whose own program leaves it off.

It is compiled from the module cache, where `go install` of ko or crane has put the source.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from real_registry import free_port, wait_for_port

_MODULE = "github.com/google/go-containerregistry"
_MAIN = """package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	handler := registry.New(registry.WithReferrersSupport(true))
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
"""


def _version(go: str) -> str:
    """The newest version of the module in the module cache; skips the test without it."""
    done = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
    found = (Path(done.stdout.strip()) / _MODULE).parent.glob("go-containerregistry@v*")
    versions = [re.findall(r"[0-9]+", path.name.partition("@")[2]) for path in found]
    if not versions:
        pytest.skip(f"{_MODULE} is not in the module cache")
    return "v" + ".".join(max(versions, key=lambda parts: [int(part) for part in parts]))


def build_registry(directory: Path) -> Path:
    """Compile it; skips the test where Go or the module is missing."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    source = directory / "referrers-registry"
    source.mkdir()
    (source / "main.go").write_text(_MAIN)
    (source / "go.mod").write_text(
        f"module example.com/registry\n\ngo 1.21\n\nrequire {_MODULE} {_version(go)}\n"
    )
    env = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GOWORK": "off"}
    done = subprocess.run(
        [go, "build", "-o", "registry", "."],
        cwd=source,
        env={**env, "GONOSUMCHECK": "1", "GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GOSUMDB": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{_MODULE} cannot be built from the module cache: {done.stderr[-300:]}")
    return source / "registry"


@contextlib.contextmanager
def referrers_registry(program: Path, directory: Path) -> Iterator[str]:
    """Run it in memory; gives `127.0.0.1:PORT`."""
    log, port = directory / "referrers-registry.log", free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, f"127.0.0.1:{port}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        assert wait_for_port(port, process, log), log.read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
