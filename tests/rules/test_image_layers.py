"""The layers that an image adds to its base: kodata, executables, and how they are encoded."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Mapping

import pytest
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.oci import media_types as mt
from ko_pants.oci.image import ImageManifest
from ko_pants.products import BuiltImage
from ko_pants.rules.layer import layer_key
from ko_pants.target_types import GoOciImageFieldSet

EMPTY_KODATA = "sha256:ffe56a1c5f3878e9b5f803842adb9e2ce81584b6bd027e8599582aefe14a975b"
KENOBI = "sha256:115ce2e7af7f5dc98fae6b8555d9a69c95e84776d30ed1779792929f81999e2a"
KENOBI_1700000000 = "sha256:13eab25efdc3af68718dfebc553984da7d5b15efbfcb346d53066a0c267bca0a"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(BuiltImage, [GoOciImageFieldSet])])


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    root = Path(engine.build_root)
    shutil.rmtree(root / "app", ignore_errors=True)
    configure(engine)
    return engine


def field_set(
    runner: RuleRunner, fields: str, files: Mapping[str, str | bytes] | None = None
) -> GoOciImageFieldSet:
    """The image `app:image` of the prebuilt file `app/server`."""
    fields = f"binary=':server', platforms=['linux/amd64'], base_image='scratch', {fields}"
    runner.write_files(
        {
            "app/BUILD": (
                f"file(name='server', source='server')\ngo_oci_image(name='image', {fields})\n"
                "file(name='tool', source='tool')\n"
                "file(name='probe', source='probe')\n"
                "file(name='other-tool', source='other/tool')\n"
                "file(name='arm', source='arm')\n"
            ),
            "app/server": elf(62),
            "app/tool": elf(62) + b"tool",
            "app/probe": elf(62) + b"probe",
            "app/other/tool": elf(62) + b"other",
            "app/arm": elf(183),
            **(files or {}),
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def manifest_of(
    runner: RuleRunner, fields: str, files: Mapping[str, str | bytes] | None = None
) -> ImageManifest:
    built = runner.request(BuiltImage, [field_set(runner, fields, files)])
    return built.image.manifests[0]


def config_of(manifest: ImageManifest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest.config)
    return found


def test_a_prebuilt_program_has_empty_kodata_as_ko_writes_it(runner: RuleRunner) -> None:
    kodata, _ = manifest_of(runner, "").layers
    assert (kodata.kind, kodata.diff_id) == ("kodata", EMPTY_KODATA)


@pytest.mark.parametrize("directory", ["assets", "kodata", "web/kodata"])
def test_kodata_of_a_directory_is_that_of_ko_wherever_it_is(
    runner: RuleRunner, directory: str
) -> None:
    files = {f"app/{directory}/kenobi": "Hello there\n", "app/beside": ""}
    manifest = manifest_of(runner, f"kodata={directory!r}", files)
    assert [(layer.kind, layer.diff_id) for layer in manifest.layers[:1]] == [("kodata", KENOBI)]
    assert "KO_DATA_PATH=/var/run/ko" in config_of(manifest)["config"]["Env"]


def test_kodata_has_the_time_of_ko_data_date_epoch(runner: RuleRunner) -> None:
    configure(runner, KO_DATA_DATE_EPOCH="1700000000", SOURCE_DATE_EPOCH="1")
    manifest = manifest_of(runner, "kodata='assets'", {"app/assets/kenobi": "Hello there\n"})
    assert manifest.layers[0].diff_id == KENOBI_1700000000
    times = [entry["created"] for entry in config_of(manifest)["history"]]
    assert times == ["2023-11-14T22:13:20Z", "1970-01-01T00:00:01Z"]


def test_without_kodata_there_is_no_layer_and_no_variable(runner: RuleRunner) -> None:
    manifest = manifest_of(runner, "kodata=False")
    config = config_of(manifest)
    assert [layer.kind for layer in manifest.layers] == ["binary"]
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 1
    assert config["config"]["Env"] == ["PATH=/ko-app"]


def test_a_directory_that_is_there_and_empty_is_empty_kodata(runner: RuleRunner) -> None:
    (Path(runner.build_root) / "app" / "assets").mkdir(parents=True)
    assert manifest_of(runner, "kodata='assets'").layers[0].diff_id == EMPTY_KODATA


@pytest.mark.parametrize(
    ("value", "found"),
    [("nowhere", "app/nowhere is not there"), ("server", "app/server is no directory")],
)
def test_kodata_that_is_no_directory_is_named(runner: RuleRunner, value: str, found: str) -> None:
    text = error_of(runner, BuiltImage, [field_set(runner, f"kodata={value!r}")])
    assert text.startswith(f"app:image, field `kodata`: {found}; expected a directory")


def test_the_layers_of_a_target_have_its_compression(runner: RuleRunner) -> None:
    configure(runner, "--ko-layer-compression=none")
    for fields, media_type in (
        ("", mt.OCI_LAYER_TAR),
        ("compression='gzip'", mt.OCI_LAYER_GZIP),
        ("compression='zstd', compression_level=1", mt.OCI_LAYER_ZSTD),
    ):
        layers = manifest_of(runner, fields).layers
        assert {layer.descriptor.media_type for layer in layers} == {media_type}


def test_a_level_makes_other_bytes_of_the_same_tar(runner: RuleRunner) -> None:
    files = {"app/assets/text": "some text " * 10_000}
    first, second = (
        manifest_of(runner, f"kodata='assets', compression_level={level}", files).layers[0]
        for level in (1, 12)
    )
    assert first.diff_id == second.diff_id
    assert first.descriptor.size > second.descriptor.size


def test_more_programs_are_layers_below_the_entrypoint(runner: RuleRunner) -> None:
    built = runner.request(
        BuiltImage,
        [field_set(runner, "binaries=[':tool', ':probe'], linux_capabilities=['chown']")],
    )
    (part,) = built.platforms
    assert [e.app_name for e in part.executables] == ["server", "tool", "probe"]
    assert [(a.history.created_by, a.history.comment) for a in part.layers[1:]] == [
        ("ko build ko://app/tool", "go build output, at /ko-app/tool"),
        ("ko build ko://app/probe", "go build output, at /ko-app/probe"),
        ("ko build ko://app/server", "go build output, at /ko-app/server"),
    ]
    (manifest,) = built.image.manifests
    assert [layer.kind for layer in manifest.layers] == ["kodata", *["binary"] * 3]
    assert config_of(manifest)["config"]["Entrypoint"] == ["/ko-app/server"]
    keys = [a.layer.request.content.key(part.platform).variant for a in part.layers[1:]]
    assert [bool(variant) for variant in keys] == [False, False, True]


def test_a_layer_of_a_program_is_the_same_in_every_image(runner: RuleRunner) -> None:
    both = manifest_of(runner, "binaries=[':tool']").layers
    alone = manifest_of(runner, "").layers
    assert both[0] == alone[0]
    assert both[-1] == alone[-1]


@pytest.mark.parametrize(
    ("binaries", "words"),
    [
        ("':tool', ':other-tool'", ["two programs are /ko-app/tool: app/tool and app/other/tool"]),
        ("':server'", ["two programs are /ko-app/server", "expected another name for each"]),
        ("':arm'", ["app/arm: found ", "arm64"]),
        ("':image'", ["app:image is a `go_oci_image`"]),
    ],
)
def test_a_mistake_in_binaries_names_the_field(
    runner: RuleRunner, binaries: str, words: list[str]
) -> None:
    text = error_of(runner, BuiltImage, [field_set(runner, f"binaries=[{binaries}]")])
    assert text.startswith("app:image, field `binaries`: ")
    for word in words:
        assert word in text


def test_a_file_in_the_place_of_another_program_is_refused(runner: RuleRunner) -> None:
    fields = (
        "binaries=[':tool'], files=[':etc'])\noci_files(name='etc', sources=['tool'], at='/ko-app'"
    )
    text = error_of(runner, BuiltImage, [field_set(runner, fields)])
    assert "two layers have /ko-app/tool: app:etc and a program" in text


def test_an_estargz_layer_has_an_annotation_and_a_key_of_its_own(runner: RuleRunner) -> None:
    plain = manifest_of(runner, "").layers[-1]
    # Made, and then found in KOCACHE.
    for _ in range(2):
        configure(runner)
        fields = field_set(runner, "compression='estargz'")
        built = runner.request(BuiltImage, [fields])
        layer = built.image.manifests[0].layers[-1]
        assert layer.descriptor.media_type == mt.OCI_LAYER_GZIP
        (annotation,) = layer.descriptor.annotations
        assert annotation[0] == "containerd.io/snapshot/stargz/toc.digest"
        assert layer.diff_id != plain.diff_id
        listed = json.loads(built.image.manifests[0].manifest)["layers"][-1]
        assert listed["annotations"] == dict([annotation])
    key = layer_key(built.layers[-1].request)
    assert re.fullmatch(r"encoding=deflate-[0-9.]+/estargz-1/4MiB", key.variant)
    # What ko and the plain encodings know the layer by is not touched.
    assert manifest_of(runner, "").layers[-1] == plain
