"""From a target to its image, and what a mistake in a target says."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from oci.images import base_config
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.layout import Layout
from ko_pants.oci.platform import Platform
from ko_pants.products import BuiltImage
from ko_pants.target_types import GoOciImageFieldSet

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NOT_NEEDED = "platforms=['linux/amd64'], base_image='scratch'"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(BuiltImage, [GoOciImageFieldSet])])


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    return engine


def field_set(runner: RuleRunner, fields: str, content: bytes = elf(62)) -> GoOciImageFieldSet:
    """The image `app:image` of the prebuilt file `app/server`."""
    (Path(runner.build_root) / "app").mkdir(exist_ok=True)
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                "files(name='two', sources=['*.bin'])\n"
                "relocated_files(name='moved', files_targets=[':server'], src='app', dest='bin')\n"
                "relocated_files(name='both', files_targets=[':two'], src='app', dest='bin')\n"
                "archive(name='zip', format='zip', files=[':server'])\n"
                f"go_oci_image(name='image', {fields})\n"
            ),
            "app/server.bin": content,
            "app/other.bin": b"x",
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def built(runner: RuleRunner, fields: str, content: bytes = elf(62)) -> BuiltImage:
    fields = f"binary=':server', {fields}"
    return runner.request(BuiltImage, [field_set(runner, fields, content)])


def mistake(runner: RuleRunner, fields: str, content: bytes = elf(62)) -> str:
    return error_of(runner, BuiltImage, [field_set(runner, fields, content)])


def write_base(
    runner: RuleRunner, *platforms: Platform, name: str = "base", docker: bool = False
) -> None:
    """A layout in the build root: an index of images without layers.

    :param docker: with media types of Docker.
    """
    layout = Layout(str(Path(runner.build_root) / name))
    of_config, of_manifest, of_index = (
        (mt.DOCKER_CONFIG, mt.DOCKER_MANIFEST, mt.DOCKER_INDEX)
        if docker
        else (mt.OCI_CONFIG, mt.OCI_MANIFEST, mt.OCI_INDEX)
    )

    def write(media_type: str, content: bytes, platform: Platform | None = None) -> Descriptor:
        found = Descriptor(media_type, sha256_digest(content), len(content), platform=platform)
        layout.write_blob(found, io.BytesIO(content))
        return found

    entries = []
    for platform in platforms:
        config = write(of_config, base_config(platform, 0, config={"User": "65532"}))
        manifest = {"mediaType": of_manifest, "config": config.to_json(), "layers": []}
        entries.append(write(of_manifest, json.dumps(manifest).encode(), platform).to_json())
    index = {"mediaType": of_index, "manifests": entries}
    layout.update({"static:latest": write(of_index, json.dumps(index).encode())})


def test_an_image_of_a_prebuilt_file(runner: RuleRunner) -> None:
    found = built(runner, f"{NOT_NEEDED}, image_labels={{'b': '2', 'a': '1'}}")
    assert found.owner == "app:image"
    assert found.image.descriptor.media_type == mt.OCI_MANIFEST
    (manifest,) = found.image.manifests
    assert [layer.kind for layer in manifest.layers] == ["kodata", "binary"]
    config = json.loads(manifest.config)
    assert config["config"]["Entrypoint"] == ["/ko-app/server.bin"]
    assert config["config"]["Labels"] == {"a": "1", "b": "2"}
    assert config["created"] == "0001-01-01T00:00:00Z"


def test_an_executable_that_another_target_generates(runner: RuleRunner) -> None:
    found = runner.request(BuiltImage, [field_set(runner, f"binary=':moved', {NOT_NEEDED}")])
    config = json.loads(found.image.manifests[0].config)
    assert config["config"]["Entrypoint"] == ["/ko-app/server.bin"]


def test_the_same_target_is_the_same_image(runner: RuleRunner) -> None:
    first = built(runner, NOT_NEEDED)
    configure(runner)
    assert built(runner, NOT_NEEDED) == first


def test_the_time_of_creation_is_source_date_epoch(runner: RuleRunner) -> None:
    configure(runner, SOURCE_DATE_EPOCH="1700000000")
    (manifest,) = built(runner, NOT_NEEDED).image.manifests
    assert json.loads(manifest.config)["created"] == "2023-11-14T22:13:20Z"


def test_a_base_of_several_platforms_on_disk(runner: RuleRunner) -> None:
    write_base(runner, ARM64, AMD64)
    found = built(runner, "platforms=['linux/amd64'], base_image='oci:base:static:latest'")
    assert [m.platform for m in found.image.manifests] == [AMD64]
    assert json.loads(found.image.manifests[0].config)["config"]["User"] == "65532"
    assert found.base.source == f"oci:{runner.build_root}/base"


def test_the_default_base_is_the_options(runner: RuleRunner) -> None:
    write_base(runner, ARM64, AMD64)
    configure(runner, "--ko-default-base-image=oci:base")
    assert built(runner, "platforms=['linux/amd64']").base.name == "oci:base"


def test_a_platform_named_twice_is_one(runner: RuleRunner) -> None:
    fields = "platforms=['linux/amd64', 'linux/amd64'], base_image='scratch'"
    assert len(built(runner, fields).image.manifests) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            "binary=':server', platforms=['all'], base_image='scratch'",
            ["app:image, field `platforms`", "`scratch` has none", "name the platforms"],
        ),
        (
            "binary=':server', platforms=['linux/amd64'], base_image='oci:nowhere'",
            ["app:image, field `base_image`", "oci:nowhere", "found no directory"],
        ),
        (
            "binary=':server', platforms=['linux/s390x'], base_image='oci:base'",
            ["app:image, field `base_image`", "no platform linux/s390x", "it has linux/amd64"],
        ),
        (
            "binary=':server', platforms=['linux/amd64'], base_image='oci:base:other'",
            ["app:image, field `base_image`", "'other'", "static:latest"],
        ),
        (
            f"binary=':two', {NOT_NEEDED}",
            ["app:image, field `binary`", "expected one target, found 2", "':two'"],
        ),
        (
            f"binary=':both', {NOT_NEEDED}",
            ["app:image, field `binary`", "app:both has 2 files", "bin/other.bin, bin/server.bin"],
        ),
        (
            f"binary=':zip', {NOT_NEEDED}",
            ["app:image, field `binary`", "app/zip.zip: found ", "expected an ELF executable"],
        ),
        (
            f"binary=':image', {NOT_NEEDED}",
            ["app:image, field `binary`", "`go_oci_image`", "yields no executable"],
        ),
        (f"binary=':server', {NOT_NEEDED.replace('amd64', 'arm64')}", ["linux/arm64", "amd64"]),
    ],
)
def test_a_mistake_names_target_and_field(
    runner: RuleRunner, fields: str, words: list[str]
) -> None:
    write_base(runner, AMD64)
    text = mistake(runner, fields)
    for word in words:
        assert word in text


def test_all_by_option_on_scratch(runner: RuleRunner) -> None:
    configure(runner, "--ko-default-platforms=['all']")
    text = mistake(runner, "binary=':server', base_image='scratch'")
    assert "`scratch` has none" in text
    assert "[ko].default_platforms" in text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"#!/bin/sh\n", "a script"),
        (b"", "an empty file"),
        (b"hello\n", "neither ELF, PE nor Mach-O"),
        (elf(183), "arm64"),
    ],
)
def test_a_file_that_is_no_program_of_the_platform(
    runner: RuleRunner, content: bytes, found: str
) -> None:
    text = mistake(runner, f"binary=':server', {NOT_NEEDED}", content)
    assert text.startswith("app:image, field `binary`: app/server.bin: found ")
    assert "linux/amd64" in text
    assert found in text


def test_platforms_with_commas_are_several(runner: RuleRunner) -> None:
    # As in `platforms=[env("PLATFORMS")]`.
    image = built(runner, "platforms=['linux/amd64,linux/amd64/v3'], base_image='scratch'").image
    assert image.platform_names == "linux/amd64, linux/amd64/v3"
