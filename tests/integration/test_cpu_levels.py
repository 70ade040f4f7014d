"""CPU levels as platforms of their own: what is compiled, the index, and what clients take."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import pytest
from integration.bases import make_base, write_layout
from integration.published import Published, published_in
from integration.workspace import SMALL, Workspace, go_mod, tool

PLATFORMS = ["linux/amd64/v3", "linux/amd64", "linux/arm/v6", "linux/arm64/v9", "linux/arm64"]


@dataclass(frozen=True)
class Images:
    """What was published to a layout."""

    layout: Path

    def __getitem__(self, name: str) -> Published:
        return published_in(self.layout, f"{name}:latest")


@pytest.fixture(scope="module")
def images(make_workspace: Callable[..., Workspace]) -> Images:
    """One image on a base without levels, one on scratch."""
    workspace = make_workspace()
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/app"),
            "app/main.go": SMALL,
            "app/kodata/text": "same\n",
            "app/BUILD": f"P = {PLATFORMS}\n"
            "go_oci_image(name='based', base_image='oci:base', platforms=P)\n"
            "go_oci_image(name='scratched', base_image='scratch', platforms=P)\n",
        }
    )
    offered = ["linux/arm/v5", "linux/arm64/v8", "linux/s390x", "linux/amd64"]
    write_layout(make_base(offered), workspace.root / "base")
    workspace.publish("app:").ok()
    return Images(workspace.root / "dist/oci")


@pytest.mark.parametrize(
    ("name", "platforms"),
    [
        # In the base's order; linux/arm64 has the base's variant.
        (
            "based",
            [
                *("linux/arm/v6", "linux/arm64/v8", "linux/arm64/v9"),
                *("linux/amd64", "linux/amd64/v3"),
            ],
        ),
        (
            "scratched",
            [
                *("linux/amd64", "linux/amd64/v3", "linux/arm/v6"),
                *("linux/arm64", "linux/arm64/v9"),
            ],
        ),
    ],
)
def test_the_index_has_plain_platforms_before_levels(
    name: str, platforms: Sequence[str], images: Images
) -> None:
    assert [m.platform for m in images[name].manifests] == platforms


@pytest.mark.parametrize("name", ["based", "scratched"])
def test_each_is_compiled_for_its_level(name: str, images: Images) -> None:
    found = images[name]
    v3 = found.for_platform("linux/amd64/v3").executable()
    assert b"GOAMD64=v3" in v3
    assert b"GOAMD64=v3" not in found.for_platform("linux/amd64").executable()
    assert b"GOARM=6" in found.for_platform("linux/arm/v6").executable()
    assert b"GOARM64=v9.0" in found.for_platform("linux/arm64/v9").executable()
    # The config says what the index says.
    assert found.for_platform("linux/amd64/v3").config["variant"] == "v3"
    assert "variant" not in found.for_platform("linux/amd64").config


def test_levels_share_the_layers_of_the_base_and_kodata(images: Images) -> None:
    plain = images["based"].for_platform("linux/amd64").manifest["layers"]
    level = images["based"].for_platform("linux/amd64/v3").manifest["layers"]
    assert plain[:-1] == level[:-1]
    assert plain[-1] != level[-1]


@pytest.mark.parametrize("variant", ["", "v3"])
@pytest.mark.parametrize("name", ["based", "scratched"])
def test_skopeo_takes_the_plain_one_unless_it_is_asked_for_the_level(
    name: str, variant: str, images: Images
) -> None:
    wanted = [f"--override-variant={variant}"] if variant else []
    done = subprocess.run(
        [
            *(tool("skopeo"), "--override-os=linux", "--override-arch=amd64", *wanted),
            *("inspect", "--config", f"oci:{images.layout}:{name}:latest"),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout).get("variant", "") == variant
