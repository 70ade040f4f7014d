"""What the report of a run says of a remote cache: which results came from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

from integration.workspace import SMALL, Workspace, go_mod
from remote.buildgrid import BuildGrid

REPORT = "dist/report.json"


def publish(repo: Workspace) -> tuple[str, dict[str, Any]]:
    """The last line of a run, and its report."""
    line = repo.pants("publish", "::").ok().stderr.rstrip("\n").splitlines()[-1]
    return line, json.loads((repo.root / REPORT).read_text())


def not_zero(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def test_results_of_another_machine(
    make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    with BuildGrid(tmp_path / "server") as server:

        def machine(name: str) -> Workspace:
            repo = make_workspace(name)
            repo.configure(
                f'report = "{REPORT}"',
                pants="remote_cache_read = true\nremote_cache_write = true\n"
                f'remote_store_address = "grpc://{server.address}"\n'
                'cache_content_behavior = "defer"\n',
            )
            repo.write(
                {
                    "app/go.mod": go_mod("example.com/app"),
                    "app/main.go": SMALL.replace("small", "remote"),
                    "app/BUILD": "go_oci_image(platforms=['linux/amd64', 'linux/arm64'])\n",
                }
            )
            return repo

        _, made = publish(machine("first"))
        assert not_zero(made["compiles"]) == {"ran": 2}
        assert not_zero(made["layers"]) == {"ran": 3}

        second = machine("second")
        line, found = publish(second)
        assert not_zero(found["compiles"]) == {"remote_cache": 2}
        assert not_zero(found["layers"]) == {"remote_cache": 3}
        assert found["processes"]["remote_cache"] >= 5
        assert line.startswith(
            "1 image: 1 written. Compiles: 2 from the remote cache. "
            "Layers: 3 from the remote cache; 3 written ("
        )
