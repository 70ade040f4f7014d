"""Field by field, the images that ko makes of the same programs on the same bases.

What differs is listed here, with its reason; docs/coming-from-ko.md says it to users.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any, Callable, Iterator

import pytest
from integration.bases import make_base, push
from integration.published import Published, published_on
from integration.workspace import SMALL, Run, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

LINUX = ["linux/amd64"]
SEVERAL = ["linux/amd64", "linux/arm64", "windows/amd64:10.0.17763.5458"]
RICH = {
    "User": "65532",
    "Env": ["A=1", "PATH=/usr/bin:/bin", "KO_DATA_PATH=/base"],
    "WorkingDir": "/home",
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["true"],
    "Labels": {"of.base": "1", "of.both": "base"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/base": {}},
    "StopSignal": "SIGINT",
}
TRUE_OF_THE_BASE_ALONE = {
    f"org.opencontainers.image.{name}": "of the base"
    for name in ("base.name", "base.digest", "created", "version", "revision", "ref.name")
}
ANNOTATED = {
    **TRUE_OF_THE_BASE_ALONE,
    "com.example.both": "base",
    "com.example.base": "base",
    "org.opencontainers.image.vendor": "them",
}

BASES = {
    "oci-index": make_base(SEVERAL, text="a"),
    "oci-single": make_base(LINUX, index=False, config=RICH, annotations=ANNOTATED),
    "docker-index": make_base(SEVERAL, docker=True, config=RICH),
    "docker-single": make_base(LINUX, docker=True, index=False, text="b"),
    "annotated": make_base(SEVERAL, annotations=ANNOTATED, entry_annotations=ANNOTATED),
    "bare": make_base(SEVERAL, config={"Env": None}, text="c"),
}
FIELDS = """
    user="1000:1000",
    image_labels={"of.both": "image", "of.image": "1"},
    image_annotations={"com.example.both": "image", "com.example.image": "1"},
    linux_capabilities=["net_bind_service=ep", "chown"],
"""
FLAGS = (
    "--image-user=1000:1000",
    "--image-label=of.both=image,of.image=1",
    "--image-annotation=com.example.both=image,com.example.image=1",
)
KO_YAML = """builds:
- id: app
  linux_capabilities: [net_bind_service=ep, chown]
"""


@pytest.fixture(scope="module")
def ko() -> str:
    gobin = os.environ.get("GOBIN", os.path.expanduser("~/go/bin"))
    path = shutil.which("ko", path=os.pathsep.join([os.environ.get("PATH", ""), gobin]))
    if path is None:
        pytest.skip("ko is not installed")
    return path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as found:
        for name, base in BASES.items():
            push(base, found.host, f"bases/{name}")
        yield found


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/app"),
            "app/main.go": SMALL,
            "app/kodata/greeting.txt": "hello\n",
            "app/.ko.yaml": KO_YAML,
        }
    )
    return workspace


@pytest.fixture(scope="module")
def ours(repo: Workspace, registry: RealRegistry, ko: str) -> Run:
    """All bases in one run."""
    targets = []
    for name in BASES:
        reference = f"{registry.host}/bases/{name}:latest"
        targets.append(
            f"go_oci_image(name={name!r}, base_image={reference!r}, platforms=['all'],{FIELDS})\n"
        )
    repo.write({"app/BUILD": "".join(targets)})
    return repo.publish("app:", env={"KO_DOCKER_REPO": f"{registry.host}/ours"}).ok()


def built_by_ko(ko: str, repo: Workspace, registry: RealRegistry, name: str) -> Published:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KO", "GOFLAGS"))}
    result = subprocess.run(
        [ko, "build", "--bare", "--platform=all", "--sbom=none", *FLAGS, "."],
        cwd=repo.root / "app",
        env={
            **environment,
            "DOCKER_CONFIG": str(repo.home),
            "KO_DOCKER_REPO": f"{registry.host}/ko/{name}",
            "KO_DEFAULTBASEIMAGE": f"{registry.host}/bases/{name}:latest",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOFLAGS": "-buildvcs=false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    return published_on(registry.host, f"ko/{name}")


def differences(ours: Any, kos: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """By path, what is not equal: ours, and ko's."""
    if isinstance(ours, dict) and isinstance(kos, dict):
        parts = [(f"{path}/{k}", ours.get(k), kos.get(k)) for k in {**ours, **kos}]
    elif isinstance(ours, list) and isinstance(kos, list) and len(ours) == len(kos):
        parts = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(ours, kos))]
    else:
        return {} if ours == kos else {path: (ours, kos)}
    found: dict[str, tuple[Any, Any]] = {}
    for part in parts:
        found.update(differences(part[1], part[2], part[0]))
    return found


# By a pattern of the path: ours and ko's as patterns of their text.
EXPECTED = {
    # Another compressor, so other layers, so other manifests.
    r"index/manifests\[\d\]/(digest|size)": (".+", ".+"),
    r"manifest/layers\[[12]\]/(digest|size)": (".+", ".+"),
    # Go's encoder, and Go's zero time in the base's history.
    r"manifest/config/(digest|size)": (".+", ".+"),
    r"config/history\[0\]/created": ("None", "0001-01-01T00:00:00Z"),
    # The media type of the config, which nothing asks for.
    r"index/manifests\[\d\]/artifactType": ("None", r"application/vnd\..+"),
    # They are true of the base alone.
    r"manifest/annotations/.+\.(created|version|revision|ref\.name)": ("None", "of the base"),
    r"index/manifests\[\d\]/annotations/.+\.(base\.name|base\.digest|created)": (
        "None",
        "of the base",
    ),
    r"index/manifests\[\d\]/annotations/.+\.(version|revision|ref\.name)": ("None", "of the base"),
    # ko names an index that nobody has: of the base's, with annotations.
    r"index/annotations/org\.opencontainers\.image\.base\.digest": ("sha256:.+", "sha256:.+"),
    # An index of Docker's has no annotations.
    r"index/annotations": ("None", r"\{.*base\.digest.*\}"),
}


@pytest.mark.parametrize("name", BASES)
def test_only_what_is_known_differs(
    name: str, ko: str, repo: Workspace, registry: RealRegistry, ours: Run
) -> None:
    image, kos = published_on(registry.host, f"ours/{name}"), built_by_ko(ko, repo, registry, name)
    assert image.media_type == kos.media_type
    assert image.platforms == kos.platforms
    found = differences(dict(image.index), dict(kos.index), "index")
    for manifest, of_ko in zip(image.manifests, kos.manifests):
        # The layers of both.
        assert manifest.tars == of_ko.tars
        found.update(differences(manifest.manifest, of_ko.manifest, "manifest"))
        found.update(differences(manifest.config, of_ko.config, "config"))
    for path, pair in found.items():
        assert any(
            re.fullmatch(pattern, path)
            and all(re.fullmatch(text, str(value)) for text, value in zip(texts, pair))
            for pattern, texts in EXPECTED.items()
        ), (path, pair)
    if "annotations" in image.index:
        digest = image.index["annotations"]["org.opencontainers.image.base.digest"]
        assert digest == BASES[name].digest
