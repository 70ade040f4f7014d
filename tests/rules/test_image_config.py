"""What a target says of its containers, in its image."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from oci.images import base_config
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.layers.capabilities import capabilities_xattr
from ko_pants.oci import media_types as mt
from ko_pants.oci.base_annotations import ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.layout import Layout
from ko_pants.oci.platform import Platform
from ko_pants.products import BuiltImage
from ko_pants.target_types import GoOciImageFieldSet

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
WINDOWS = Platform("windows", "amd64")
SCRATCH = "platforms=['linux/amd64'], base_image='scratch'"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(BuiltImage, [GoOciImageFieldSet])])


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    return engine


def field_set(runner: RuleRunner, fields: str, content: bytes = elf(62)) -> GoOciImageFieldSet:
    """The image `app:image` of the prebuilt file `app/server`."""
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server')\n"
                f"go_oci_image(name='image', binary=':server', {fields})\n"
            ),
            "app/server": content,
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def built(runner: RuleRunner, fields: str, content: bytes = elf(62)) -> BuiltImage:
    return runner.request(BuiltImage, [field_set(runner, fields, content)])


def config_of(image: BuiltImage) -> dict[str, Any]:
    (manifest,) = image.image.manifests
    config: dict[str, Any] = json.loads(manifest.config)["config"]
    return config


def windows_program() -> bytes:
    """The head of a PE executable for amd64."""
    head = bytearray(0x200)
    head[:2] = b"MZ"
    head[0x3C] = 0x80
    head[0x80:0x86] = b"PE\0\0\x64\x86"
    head[0x94] = 0xF0
    head[0x96] = 0x22
    head[0x98:0x9A] = b"\x0b\x02"
    return bytes(head)


def write_base(runner: RuleRunner, name: str, *platforms: Platform, docker: bool = False) -> str:
    """A base with annotations, in a layout; its reference."""
    layout = Layout(str(Path(runner.build_root) / name))
    types = (
        (mt.DOCKER_CONFIG, mt.DOCKER_MANIFEST, mt.DOCKER_INDEX)
        if docker
        else (mt.OCI_CONFIG, mt.OCI_MANIFEST, mt.OCI_INDEX)
    )

    def write(media_type: str, document: Any, platform: Platform | None = None) -> Descriptor:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        found = Descriptor(media_type, sha256_digest(content), len(content), platform=platform)
        layout.write_blob(found, io.BytesIO(content))
        return found

    entries = []
    for platform in platforms:
        inner = {"User": "65532", "Env": ["PATH=/bin", "A=base"], "ExposedPorts": {"80/tcp": {}}}
        config = write(types[0], base_config(platform, 0, config=inner))
        manifest = {
            "mediaType": types[1],
            "config": config.to_json(),
            "layers": [],
            "annotations": {"of": "base", "org.opencontainers.image.version": "12"},
        }
        entry = write(types[1], manifest, platform).to_json()
        entries.append({**entry, "annotations": {"entry": str(platform)}})
    layout.update({"base:latest": write(types[2], {"mediaType": types[2], "manifests": entries})})
    return f"oci:{name}"


def test_everything_that_a_target_can_say(runner: RuleRunner) -> None:
    base = write_base(runner, "base", AMD64)
    fields = (
        "user='1000:1000', entrypoint_args=['--x'], cmd=['serve'], image_env=['A=ours', 'B=1'], "
        "workdir='/data', ports=[8080, '53/udp'], volumes=['/data'], stop_signal='SIGINT', "
        "image_annotations={'team': 'shop'}"
    )
    image = built(runner, f"platforms=['linux/amd64'], base_image='{base}', {fields}")
    assert config_of(image) == {
        "User": "1000:1000",
        "Entrypoint": ["/ko-app/server", "--x"],
        "Cmd": ["serve"],
        "Env": ["PATH=/bin:/ko-app", "A=ours", "KO_DATA_PATH=/var/run/ko", "B=1"],
        "WorkingDir": "/data",
        "ExposedPorts": {"80/tcp": {}, "8080/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
    }
    (manifest,) = image.image.manifests
    assert json.loads(manifest.manifest)["annotations"] == {
        "of": "base",
        "team": "shop",
        ANNOTATION_BASE_NAME: base,
        ANNOTATION_BASE_DIGEST: image.base.manifests[0].digest,
    }


def test_annotations_of_an_index(runner: RuleRunner, caplog: pytest.LogCaptureFixture) -> None:
    # `linux/amd64` twice, because the one program is for this architecture.
    platforms = (AMD64, Platform("linux", "amd64", "v3"))
    fields = "platforms=['linux/amd64'], image_annotations={'team': 'shop'}"
    base = write_base(runner, "oci", *platforms)
    image = built(runner, f"{fields}, base_image='{base}'").image
    index = json.loads(image.index)
    assert index["annotations"]["team"] == "shop"
    assert "of" not in index["annotations"]
    assert [e["annotations"]["entry"] for e in index["manifests"]] == [str(p) for p in platforms]
    assert {json.loads(m.manifest)["annotations"]["team"] for m in image.manifests} == {"shop"}
    assert caplog.messages == []
    base = write_base(runner, "docker", *platforms, docker=True)
    image = built(runner, f"{fields}, base_image='{base}'").image
    assert "annotations" not in json.loads(image.index)
    assert {json.loads(m.manifest)["annotations"]["team"] for m in image.manifests} == {"shop"}
    (message,) = caplog.messages
    assert message.startswith("app:image, field `image_annotations`: the manifests of the image")
    assert "oci:docker" in message


def test_capabilities_are_in_the_layer_of_the_program_alone(runner: RuleRunner) -> None:
    plain = built(runner, SCRATCH)
    image = built(runner, f"{SCRATCH}, linux_capabilities=['net_bind_service=ep']")
    again = built(runner, f"{SCRATCH}, linux_capabilities=['cap_net_bind_service+pe']")
    first, second = (i.image.manifests[0].layers for i in (plain, image))
    assert first[0] == second[0]
    assert first[1].diff_id != second[1].diff_id
    # Another spelling of the same capabilities is the same layer.
    assert again.image == image.image
    request = image.platforms[0].layers[1].layer.request
    value = capabilities_xattr(["net_bind_service=ep"]).hex()
    assert request.content.spec()["capabilities"] == value
    key = request.content.key(AMD64)
    assert key.map_key.endswith(f";variant=capabilities={value}")
    # The keys that were there before stay.
    content = plain.platforms[0].layers[1].layer.request.content
    assert "capabilities" not in content.spec()
    assert content.key(AMD64).variant == ""


@pytest.mark.parametrize(
    ("platform", "fields", "words"),
    [
        ("windows/amd64", "workdir='/app'", ["`workdir`", "'/app'", "windows/amd64"]),
        ("linux/amd64", "workdir='C:/app'", ["`workdir`", "'C:/app'", "linux/amd64"]),
        ("windows/amd64", "volumes=['C:/a', '/b']", ["`volumes`", "'/b'", "windows/amd64"]),
        ("windows/amd64", "image_env=['a=1', 'A=2']", ["`image_env`", "'a' and 'A'"]),
        ("windows/amd64", "linux_capabilities=['bpf=ep']", ["found ['bpf=ep'] for windows/amd64"]),
    ],
)
def test_what_does_not_fit_a_platform(
    runner: RuleRunner, platform: str, fields: str, words: list[str]
) -> None:
    # Platforms in the field are compared when Pants makes the target.
    configure(runner, f"--ko-default-platforms={platform}")
    fields = f"base_image='scratch', {fields}"
    text = error_of(runner, BuiltImage, [field_set(runner, fields, windows_program())])
    assert text.startswith("app:image, field ")
    for word in words:
        assert word in text


def test_windows_paths(runner: RuleRunner) -> None:
    fields = "workdir='C:/app', volumes=['C:\\\\data'], image_env=['A=1']"
    image = built(
        runner, f"platforms=['windows/amd64'], base_image='scratch', {fields}", windows_program()
    )
    config = config_of(image)
    assert (config["WorkingDir"], config["Volumes"]) == ("C:/app", {"C:\\data": {}})
