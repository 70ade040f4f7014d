"""Base images: on a registry or on disk, of either family, and how their layers travel."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import tarfile
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest
from integration.bases import DOCKER, OCI, make_base, push, write_layout
from integration.published import published_in, published_on
from integration.traffic import Traffic
from integration.workspace import SMALL, Run, Workspace, go_mod, tool
from real_registry import RealRegistry, docker_registry

PLATFORMS = ["linux/amd64", "linux/arm64"]


@dataclass(frozen=True)
class Registries:
    """`here` has the base images, `elsewhere` has none of their blobs."""

    here: RealRegistry
    elsewhere: RealRegistry


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    with contextlib.ExitStack() as stack:
        yield Registries(
            stack.enter_context(docker_registry(tmp_path_factory.mktemp("here"))),
            stack.enter_context(docker_registry(tmp_path_factory.mktemp("elsewhere"))),
        )


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write({"app/go.mod": go_mod("example.com/app"), "app/main.go": SMALL})
    return workspace


def publish(
    repo: Workspace, registry: RealRegistry, path: str, *bases: str, platforms: object = PLATFORMS
) -> Run:
    """Publish one image for each base, as `<path>/image0` and so on."""
    repo.write(
        {
            "app/BUILD": "".join(
                f"go_oci_image(name='image{n}', base_image={base!r}, platforms={platforms!r})\n"
                for n, base in enumerate(bases)
            )
        }
    )
    return repo.publish("app:", env={"KO_DOCKER_REPO": f"{registry.host}/{path}"}).ok()


def base_outcomes(run: Run, image: str = "app:image0") -> set[str]:
    """The outcomes of the base's layers."""
    return {layer["outcome"] for layer in run.images[image]["layers"] if layer["kind"] == "base"}


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
@pytest.mark.parametrize("index", [True, False], ids=["index", "single"])
def test_base_on_a_registry(
    docker: bool, index: bool, repo: Workspace, registries: Registries
) -> None:
    name = f"{'docker' if docker else 'oci'}-{'index' if index else 'single'}"
    # The base has one platform that the target does not want.
    offered = [*PLATFORMS, "linux/s390x"] if index else ["linux/amd64"]
    wanted = PLATFORMS if index else ["linux/amd64"]
    base = make_base(offered, docker=docker, index=index, text=name)
    reference = push(base, registries.here.host, f"bases/{name}")
    types = DOCKER if docker else OCI
    traffic = Traffic(registries.here)

    run = publish(repo, registries.here, name, reference, platforms=wanted)

    image = published_on(registries.here.host, f"{name}/image0")
    assert image.platforms == wanted
    assert image.media_type == types["index" if index else "manifest"]
    annotations = {
        "org.opencontainers.image.base.name": reference,
        "org.opencontainers.image.base.digest": base.digest,
    }
    if index and not docker:
        assert image.index["annotations"] == annotations
    for manifest in image.manifests:
        assert manifest.manifest["mediaType"] == types["manifest"]
        assert manifest.manifest["config"]["mediaType"] == types["config"]
        assert {d["mediaType"] for d in manifest.manifest["layers"]} == {types["layer"]}
        assert f"{name} {manifest.platform}\n".encode() in manifest.tars[0]
        assert manifest.config["config"]["User"] == "65532"
        assert manifest.config["config"]["Env"] == [
            "PATH=/usr/bin:/ko-app",
            "BASE=1",
            "KO_DATA_PATH=/var/run/ko",
        ]
        assert len(manifest.config["history"]) == 3
        stated = manifest.manifest["annotations"]
        assert stated["org.opencontainers.image.base.name"] == reference
        assert stated["org.opencontainers.image.base.digest"] in base.manifests
    # Base and image are on one registry, so the layers are mounted and not downloaded.
    assert base_outcomes(run) == {"mounted"}
    fetched = traffic.paths(f"/v2/bases/{name}/blobs/", "GET")
    assert [p for p in fetched if p.rpartition("/")[2] in base.layers] == []


def test_layers_are_copied_to_another_registry(repo: Workspace, registries: Registries) -> None:
    base = make_base(PLATFORMS, text="copied")
    reference = push(base, registries.here.host, "bases/copied")
    traffic = Traffic(registries.here)

    run = publish(repo, registries.elsewhere, "copied", reference)

    image = published_on(registries.elsewhere.host, "copied/image0")
    assert image.platforms == PLATFORMS
    assert base_outcomes(run) == {"uploaded"}
    fetched = [p.rpartition("/")[2] for p in traffic.paths("/v2/bases/copied/blobs/", "GET")]
    assert sorted(d for d in fetched if d in base.layers) == sorted(base.layers)
    sizes = {d: len(content) for d, content in base.blobs.items()}
    for layer in run.images["app:image0"]["layers"]:
        if layer["kind"] == "base":
            assert layer["bytes"] == layer["size"] == sizes[layer["digest"]]


def test_copied_layers_are_not_fetched_again(repo: Workspace, registries: Registries) -> None:
    base = make_base(PLATFORMS, text="again")
    reference = push(base, registries.here.host, "bases/again")
    publish(repo, registries.elsewhere, "again", reference)
    traffic = Traffic(registries.here)
    repo.write({"app/main.go": SMALL.replace("small", "another program")})

    try:
        run = publish(repo, registries.elsewhere, "again", reference)
    finally:
        repo.write({"app/main.go": SMALL})

    assert run.images["app:image0"]["published"]
    assert base_outcomes(run) == {"reused"}
    assert traffic.paths("/v2/bases/again/blobs/") == []


def test_pinned_base_costs_no_request(repo: Workspace, registries: Registries) -> None:
    base = make_base(PLATFORMS, text="pinned")
    reference = push(base, registries.here.host, "bases/pinned").replace(
        ":latest", f"@{base.digest}"
    )
    first = publish(repo, registries.here, "pinned", reference)
    traffic = Traffic(registries.here)

    run = publish(repo, registries.here, "pinned", reference)

    assert "up to date" in run.images["app:image0"]["status"]
    assert run.images["app:image0"]["digest"] == first.images["app:image0"]["digest"]
    assert traffic.paths("/v2/bases/") == []
    assert traffic.of("pinned/image0") == ["HEAD manifests 200"]


def test_tag_costs_one_request_for_all_images(repo: Workspace, registries: Registries) -> None:
    base = make_base(PLATFORMS, text="tagged")
    reference = push(base, registries.here.host, "bases/tagged")
    publish(repo, registries.here, "tagged", reference, reference, reference)
    traffic = Traffic(registries.here)

    run = publish(repo, registries.here, "tagged", reference, reference, reference)

    assert {("up to date" in entry["status"]) for entry in run.images.values()} == {True}
    assert traffic.paths("/v2/bases/") == ["/v2/bases/tagged/manifests/latest"]


def test_new_base_behind_a_tag_needs_no_compiler(repo: Workspace, registries: Registries) -> None:
    reference = push(make_base(PLATFORMS, text="old"), registries.here.host, "bases/moving")
    before = publish(repo, registries.here, "moving", reference)
    push(make_base(PLATFORMS, text="new"), registries.here.host, "bases/moving")

    run = publish(repo, registries.here, "moving", reference)

    assert run.processes == []
    entry = run.images["app:image0"]
    assert entry["published"]
    assert entry["digest"] != before.images["app:image0"]["digest"]
    assert {layer["outcome"] for layer in entry["layers"] if layer["kind"] != "base"} == {"reused"}
    image = published_on(registries.here.host, "moving/image0")
    assert b"new linux/amd64\n" in image.manifests[0].tars[0]


def test_all_platforms_of_the_base(repo: Workspace, registries: Registries) -> None:
    base = make_base([*PLATFORMS, "linux/arm/v7", "linux/unheard-of"], text="all")
    reference = push(base, registries.here.host, "bases/all")

    run = publish(repo, registries.here, "all", reference, platforms=["all"])

    assert run.images["app:image0"]["platforms"] == [*PLATFORMS, "linux/arm/v7"]
    image = published_on(registries.here.host, "all/image0")
    assert image.platforms == [*PLATFORMS, "linux/arm/v7"]


def test_several_versions_of_windows_share_program_and_layers(
    repo: Workspace, registries: Registries
) -> None:
    versions = ["10.0.17763.5458", "10.0.20348.2322"]
    base = make_base([f"windows/amd64:{v}" for v in versions], text="windows")
    reference = push(base, registries.here.host, "bases/windows")

    run = publish(
        repo,
        registries.here,
        "windows",
        reference,
        platforms=["windows/amd64:10.0.20348", "windows/amd64:10.0.17763"],
    )

    compiled = [p for p in run.processes if p.startswith("Compile ")]
    assert len(compiled) == 1
    image = published_on(registries.here.host, "windows/image0")
    stated = [entry["platform"] for entry in image.index["manifests"]]
    assert stated == [
        {
            "architecture": "amd64",
            "os": "windows",
            "os.version": version,
            "os.features": ["win32k"],
        }
        for version in versions
    ]
    assert [m.config["os.version"] for m in image.manifests] == versions
    first, second = (m.manifest["layers"] for m in image.manifests)
    assert first[0] != second[0]
    assert first[1:] == second[1:]


def test_index_without_platforms(repo: Workspace, registries: Registries) -> None:
    """The configs say what each is for; ko's index has no platforms either."""
    base = make_base(PLATFORMS, unnamed=True, text="unnamed")
    reference = push(base, registries.here.host, "bases/unnamed")

    publish(repo, registries.here, "unnamed", reference, platforms=["all"])

    image = published_on(registries.here.host, "unnamed/image0")
    assert image.platforms == PLATFORMS
    assert [entry["platform"]["architecture"] for entry in image.index["manifests"]] == [
        "amd64",
        "arm64",
    ]


@pytest.mark.parametrize("name", ["", "stable"])
def test_base_in_a_layout(name: str, repo: Workspace, registries: Registries) -> None:
    directory = repo.root / f"layout-{name}"
    base = make_base(PLATFORMS, text="on disk")
    write_layout(base, directory, name)
    reference = f"oci:{directory.name}{':' if name else ''}{name}"
    path = f"from-layout{name}"

    run = publish(repo, registries.here, path, reference)

    image = published_on(registries.here.host, f"{path}/image0")
    assert base_outcomes(run) == {"uploaded"}
    assert [b"on disk" in manifest.tars[0] for manifest in image.manifests] == [True, True]


@pytest.fixture(scope="module")
def configured(repo: Workspace, registries: Registries) -> Run:
    """An image that says all that it can of its containers, published to a layout."""
    base = make_base(PLATFORMS, text="to disk")
    reference = push(base, registries.here.host, "bases/to-disk")
    repo.write(
        {
            "app/BUILD": f"""go_oci_image(
                base_image={reference!r},
                platforms={PLATFORMS!r},
                user="1000:1000",
                entrypoint_args=["--verbose"],
                cmd=["serve"],
                image_env=["BASE=2", "LOG_LEVEL=info"],
                workdir="/data",
                ports=[8080, "53/udp"],
                volumes=["/data"],
                stop_signal="SIGINT",
                linux_capabilities=["net_bind_service=ep"],
                image_annotations={{"com.example.team": "shop"}},
            )
            """
        }
    )
    return repo.publish("app:").ok()


def test_base_on_a_registry_into_a_layout(repo: Workspace, configured: Run) -> None:
    image = published_in(repo.root / "dist" / "oci", "app:latest")
    assert image.digest == configured.images["app:app"]["digest"]
    assert base_outcomes(configured, "app:app") == {"written"}
    assert image.index["annotations"]["com.example.team"] == "shop"
    for manifest in image.manifests:
        assert manifest.manifest["annotations"]["com.example.team"] == "shop"
        with tarfile.open(fileobj=io.BytesIO(manifest.tars[-1])) as tar:
            program = tar.getmember("/ko-app/app")
        assert program.pax_headers.keys() == {"SCHILY.xattr.security.capability"}


def test_skopeo_reads_what_a_target_says(repo: Workspace, configured: Run) -> None:
    layout = f"oci:{repo.root / 'dist' / 'oci'}:app:latest"
    command = [tool("skopeo"), "--override-arch=amd64", "inspect", "--config", layout]
    assert json.loads(subprocess.check_output(command))["config"] == {
        "User": "1000:1000",
        "ExposedPorts": {"53/udp": {}, "8080/tcp": {}},
        "Env": ["PATH=/usr/bin:/ko-app", "BASE=2", "KO_DATA_PATH=/var/run/ko", "LOG_LEVEL=info"],
        "Entrypoint": ["/ko-app/app", "--verbose"],
        "Cmd": ["serve"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/data",
        "StopSignal": "SIGINT",
    }


def test_damaged_base_is_refused(repo: Workspace, registries: Registries) -> None:
    """A registry that serves other bytes for a digest gives an error."""
    base = make_base(PLATFORMS, text="damaged")
    reference = push(base, registries.here.host, "bases/damaged")
    (layer, *_) = sorted(base.layers)
    blobs = registries.here.storage / "docker/registry/v2/blobs/sha256"
    stored = blobs / layer[7:9] / layer[7:] / "data"
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    repo.write({"app/BUILD": f"go_oci_image(base_image={reference!r}, platforms={PLATFORMS!r})\n"})

    run = repo.publish("app:", env={"KO_DOCKER_REPO": f"{registries.elsewhere.host}/damaged"})

    assert run.exit_code != 0
    assert layer in run.output
    assert "Traceback" not in run.output
