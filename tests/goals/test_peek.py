"""`peek` of our targets is JSON of what BUILD files say."""

from __future__ import annotations

import json

from pants.backend.project_info import peek
from rules.engine_runner import BOOTSTRAP, ENVIRONMENT, new_runner

BUILD = """
go_oci_image(
    name="image",
    base_image="scratch",
    platforms=["linux/amd64"],
    ports=[8080],
    image_labels={"a": "{{.Git.Tag}}"},
    kodata=False,
    debug=False,
)
go_executable(name="bin", flags=["-v"], env=["A=b"])
oci_files(name="files", at="/etc", directory_mode="0700", owner="1:1", rename={"a": "b"})
oci_base_image(name="base", image="registry.example.com/static:latest")
kubernetes_manifests(name="k8s", selector="app=web")
"""


def test_peek() -> None:
    runner = new_runner([], rules=peek.rules())  # type: ignore[no-untyped-call]
    runner.write_files(
        {
            "app/BUILD": BUILD,
            "app/a.yaml": "a: b\n",
            "app/go.mod": "module example.com/app\n",
            "app/main.go": "package main\n\nfunc main() {}\n",
        }
    )
    done = runner.run_goal_rule(peek.Peek, global_args=BOOTSTRAP, args=["app:"], env=ENVIRONMENT)
    found = {target["address"]: target for target in json.loads(done.stdout)}
    image = found["app:image"]
    assert image["ports"] == ["8080/tcp"]
    assert image["image_labels"] == {"a": "{{.Git.Tag}}"}
    assert (image["kodata"], image["debug"], image["sbom"]) == (False, False, None)
    assert found["app:bin"]["env"] == ["A=b"]
    assert found["app:files"]["rename"] == {"a": "b"}
    assert found["app:base"]["image"] == "registry.example.com/static:latest"
    assert found["app:k8s"]["sources"] == ["app/a.yaml"]
    # A value that JSON does not know would be the representation of an object.
    assert "object at 0x" not in done.stdout
    assert "FrozenDict" not in done.stdout
