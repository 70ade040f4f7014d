"""Go's own archive/tar and compress/gzip, as a program that the tests compare with."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = r"""
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

type entry struct {
	Name    []byte
	Size    int64
	Dir     bool
	Mtime   int64
	Mode    *int64
	Uid     int
	Gid     int
	Records map[string][]byte
}

func headers(entries []entry) [][]byte {
	var out [][]byte
	for _, e := range entries {
		var buffer bytes.Buffer
		h := &tar.Header{Name: string(e.Name), Mode: 0555, Size: e.Size, Typeflag: tar.TypeReg,
			Uid: e.Uid, Gid: e.Gid, PAXRecords: map[string]string{}}
		if e.Mode != nil {
			h.Mode = *e.Mode
		}
		if e.Dir {
			h.Typeflag = tar.TypeDir
		}
		if e.Mtime != 0 {
			h.ModTime = time.Unix(e.Mtime, 0)
		}
		for key, value := range e.Records {
			h.PAXRecords[key] = string(value)
		}
		if err := tar.NewWriter(&buffer).WriteHeader(h); err != nil {
			panic(err)
		}
		out = append(out, buffer.Bytes())
	}
	return out
}

func main() {
	if os.Args[1] == "headers" {
		var entries []entry
		if err := json.NewDecoder(os.Stdin).Decode(&entries); err != nil {
			panic(err)
		}
		json.NewEncoder(os.Stdout).Encode(headers(entries))
		return
	}
	reader, err := gzip.NewReader(os.Stdin)
	if err != nil {
		panic(err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, reader); err != nil {
		panic(err)
	}
	fmt.Printf("sha256:%x", hash.Sum(nil))
}
"""


class GoReference:
    """Runs the compiled program."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def headers(self, entries: list[dict[str, Any]]) -> list[bytes]:
        """What archive/tar writes for each entry: `name`, and as wanted `size`, `dir`, ..."""

        def encode(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: encode(inner) for key, inner in value.items()}
            return base64.b64encode(value).decode() if isinstance(value, bytes) else value

        output = self._run("headers", json.dumps([encode(entry) for entry in entries]).encode())
        return [base64.b64decode(block) for block in json.loads(output)]

    def gunzip_digest(self, blob: bytes) -> str:
        return self._run("gunzip", blob).decode()

    def _run(self, mode: str, stdin: bytes) -> bytes:
        return subprocess.run(
            [self._program, mode], input=stdin, stdout=subprocess.PIPE, check=True
        ).stdout


@pytest.fixture(scope="session")
def go_reference(tmp_path_factory: pytest.TempPathFactory) -> GoReference:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not on PATH")
    directory = tmp_path_factory.mktemp("go_reference")
    (directory / "main.go").write_text(_PROGRAM)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    subprocess.run(
        [go, "build", "-o", "reference", "main.go"], cwd=directory, env=environment, check=True
    )
    return GoReference(directory / "reference")
