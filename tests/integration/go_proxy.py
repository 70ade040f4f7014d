"""A Go module proxy on disk (`file://`), as `go help goproxy` describes it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Mapping

from integration.workspace import go_mod


class GoProxy:
    """The modules that were added; with `env`, Go uses this proxy and no other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        """The variables of Go, for `go` itself and for Pants."""
        return {"GOPROXY": f"file://{self._directory}", "GOSUMDB": "off"}

    def add(
        self, module: str, version: str, files: Mapping[str, str], *requires: tuple[str, str]
    ) -> None:
        """Publish a version; its go.mod is made from `requires`. Always the same bytes."""
        mod = go_mod(module, "", *(f"require {path} {v}" for path, v in requires))
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in sorted({**files, "go.mod": mod}.items()):
                entry = zipfile.ZipInfo(f"{module}@{version}/{name}")
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
        place = self._directory / module / "@v"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{version}.zip").write_bytes(out.getvalue())
        (place / f"{version}.mod").write_text(mod)
        info = {"Version": version, "Time": "2024-01-01T00:00:00Z"}
        (place / f"{version}.info").write_text(json.dumps(info))
        with (place / "list").open("a") as versions:
            versions.write(f"{version}\n")

    def go(self, *args: str, cwd: Path, cache: Path) -> None:
        """Run `go` with this proxy, its module cache below `cache`."""
        env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.env,
            "GOFLAGS": "-mod=mod -modcacherw",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
            "GOCACHE": str(cache / "gocache"),
            "GOPATH": str(cache / "gopath"),
        }
        done = subprocess.run(
            ["go", *args], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
