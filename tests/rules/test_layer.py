"""Layers in the engine: KOCACHE first, a process only where it knows nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pants.engine.fs import EMPTY_DIGEST, CreateDigest, Digest, FileContent
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import (
    configure,
    error_of,
    layer_of_executable,
    layer_request,
    new_runner,
)

from ko_pants.layer_contents import TreeContent
from ko_pants.oci import media_types as mt
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoExecutable,
    GoExecutableRequest,
    HostTools,
    HostToolsRequest,
    Layer,
    LayerBlob,
    LayerBlobRequest,
    LayerRequest,
    PrebuiltFile,
)
from ko_pants.rules.settings import Settings

LINUX = Platform("linux", "amd64")
WINDOWS = Platform("windows", "amd64")
# `/ko-app/test` = `hello binary\n`, as ko's tar has it.
DIFF_ID = "sha256:bc4c338f2ccf288f9ef86ab119362c504e32769891e1d8083ac46a113a5ae77b"
WINDOWS_DIFF_ID = "sha256:165938cd04fa556449793c3185b8b1baed38ecc48014a18c9c394401e1253f4c"
EMPTY_KODATA = "sha256:ffe56a1c5f3878e9b5f803842adb9e2ce81584b6bd027e8599582aefe14a975b"
KENOBI = "sha256:115ce2e7af7f5dc98fae6b8555d9a69c95e84776d30ed1779792929f81999e2a"
KENOBI_1700000000 = "sha256:13eab25efdc3af68718dfebc553984da7d5b15efbfcb346d53066a0c267bca0a"


def new_engine() -> RuleRunner:
    return new_runner(
        [
            (Digest, [CreateDigest]),
            (GoExecutable, [GoExecutableRequest]),
            (Layer, [LayerRequest]),
            (LayerBlob, [LayerBlobRequest]),
            (Settings, []),
            (HostTools, [HostToolsRequest]),
        ]
    )


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_engine()


@pytest.fixture
def runner(engine: RuleRunner, tmp_path: Path) -> RuleRunner:
    """A run whose KOCACHE is empty."""
    configure(engine, KOCACHE=str(tmp_path / "kocache"))
    return engine


def files(runner: RuleRunner, content: dict[str, bytes]) -> Digest:
    return runner.request(
        Digest, [CreateDigest([FileContent(path, data) for path, data in content.items()])]
    )


def executable(
    runner: RuleRunner, content: bytes = b"hello binary\n", platform: Platform = LINUX
) -> GoExecutable:
    prebuilt = PrebuiltFile(":x, field `binary`", "bin/test", files(runner, {"bin/test": content}))
    request = GoExecutableRequest(platform, (platform,), prebuilt=prebuilt)
    return runner.request(GoExecutable, [request])


def binary_layer(runner: RuleRunner, **more: Any) -> Layer:
    return runner.request(Layer, [layer_of_executable(runner, executable(runner, **more))])


def kodata_layer(runner: RuleRunner, content: dict[str, bytes], epoch: int = 0) -> Layer:
    digest = files(runner, content) if content else EMPTY_DIGEST
    tree = TreeContent("kodata", digest, mtime=epoch)
    return runner.request(Layer, [layer_request(runner, LINUX, tree)])


def maps(kocache: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(kocache)): json.loads(path.read_text())
        for path in kocache.rglob("*-to-*")
        if path.is_file()
    }


def another_machine(tmp_path: Path, *options: str) -> RuleRunner:
    """An engine that remembers nothing, with the same KOCACHE."""
    runner = new_engine()
    configure(runner, *options, KOCACHE=str(tmp_path / "kocache"))
    return runner


def test_a_prebuilt_file_is_looked_at_and_not_read_into_python(runner: RuleRunner) -> None:
    found = executable(runner)
    assert (found.path, found.app_name, found.size) == ("bin/test", "test", 13)
    assert not found.compiled
    assert found.file_digest.startswith("sha256:")


def test_the_layer_of_an_executable_is_kos_byte_for_byte(runner: RuleRunner) -> None:
    layer = binary_layer(runner)
    assert layer.diff_id == DIFF_ID
    assert layer.descriptor.media_type == mt.OCI_LAYER_GZIP
    assert layer.source.metadata is not None


def test_windows_has_its_own_tar(runner: RuleRunner) -> None:
    assert binary_layer(runner, platform=WINDOWS).diff_id == WINDOWS_DIFF_ID


def test_a_miss_is_recorded_as_ko_records_it(runner: RuleRunner, tmp_path: Path) -> None:
    found = executable(runner)
    layer = binary_layer(runner)
    content = maps(tmp_path / "kocache")
    (name,) = [name for name in content if name.endswith("buildid-to-diffid")]
    assert name == "bin/bin/test/linux/amd64/buildid-to-diffid"
    # It was not compiled here, so its bytes are its name.
    assert content[name] == {found.file_digest: DIFF_ID}
    descriptor = content["bin/bin/test/linux/amd64/diffid-to-descriptor"][DIFF_ID]
    assert descriptor["mediaType"] == mt.OCI_LAYER_GZIP
    assert descriptor["digest"] == layer.descriptor.digest
    assert descriptor["size"] == layer.descriptor.size


def test_a_hit_runs_no_process(runner: RuleRunner, tmp_path: Path) -> None:
    miss = binary_layer(runner)
    hit = binary_layer(another_machine(tmp_path))
    assert hit.source.metadata is None
    assert (hit.diff_id, hit.descriptor.digest) == (miss.diff_id, miss.descriptor.digest)
    # Where it came from is no part of what it is.
    assert hit == miss


def test_another_executable_is_a_miss(runner: RuleRunner, tmp_path: Path) -> None:
    binary_layer(runner)
    layer = binary_layer(another_machine(tmp_path), content=b"hello other binary\n")
    assert layer.source.metadata is not None
    assert layer.diff_id != DIFF_ID


def test_another_compressor_is_a_miss_that_leaves_the_diff_id(
    runner: RuleRunner, tmp_path: Path
) -> None:
    gzip = binary_layer(runner)
    plain = binary_layer(another_machine(tmp_path, "--ko-layer-compression=none"))
    assert plain.source.metadata is not None
    assert plain.diff_id == gzip.diff_id == plain.descriptor.digest
    assert (plain.descriptor.media_type, plain.descriptor.size) == (mt.OCI_LAYER_TAR, 2560)


def test_damaged_maps_are_a_miss_and_are_repaired(runner: RuleRunner, tmp_path: Path) -> None:
    first = binary_layer(runner)
    kocache = tmp_path / "kocache"
    before = maps(kocache)
    for path in kocache.rglob("*-to-*"):
        path.write_text('{"half":')
    layer = binary_layer(another_machine(tmp_path))
    assert layer.source.metadata is not None
    assert layer == first
    assert maps(kocache) == before


def test_the_bytes_are_what_the_descriptor_says(runner: RuleRunner) -> None:
    layer = binary_layer(runner)
    blob = runner.request(LayerBlob, [LayerBlobRequest(layer.request)])
    assert (blob.diff_id, blob.descriptor) == (layer.diff_id, layer.descriptor)


@pytest.mark.parametrize(
    ("content", "epoch", "diff_id"),
    [
        ({}, 0, EMPTY_KODATA),
        ({"kodata/kenobi": b"Hello there\n"}, 0, KENOBI),
        ({"kodata/kenobi": b"Hello there\n"}, 1700000000, KENOBI_1700000000),
    ],
)
def test_kodata_is_kos_byte_for_byte(
    runner: RuleRunner, content: dict[str, bytes], epoch: int, diff_id: str
) -> None:
    assert kodata_layer(runner, content, epoch).diff_id == diff_id


def test_kodata_of_another_time_is_no_hit(runner: RuleRunner, tmp_path: Path) -> None:
    content = {"kodata/kenobi": b"Hello there\n"}
    kodata_layer(runner, content)
    other = another_machine(tmp_path)
    later = kodata_layer(other, content, 1700000000)
    assert later.source.metadata is not None
    assert later.diff_id == KENOBI_1700000000
    assert kodata_layer(other, content).source.metadata is None


def test_a_kocache_that_is_no_directory_is_named(runner: RuleRunner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a file")
    found = executable(runner)
    configure(runner, KOCACHE=str(path))
    text = error_of(runner, Layer, [layer_of_executable(runner, found)])
    assert str(path) in text
    assert "KOCACHE" in text
