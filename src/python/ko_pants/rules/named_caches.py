"""The named caches of processes."""

from __future__ import annotations

from ko_pants.golang import go_build

GO_CACHE_NAME = "ko_pants_go"
PYTHON_CACHE_NAME = "ko_pants_python"

# The named caches of a process that runs Go -> where its sandbox has them.
GO_CACHES = {
    GO_CACHE_NAME: go_build.GO_LINKS,
    "ko_pants_gocache": go_build.GO_CACHE,
    "ko_pants_gopath": go_build.GO_PATH,
}
