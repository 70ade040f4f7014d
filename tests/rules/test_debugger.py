"""Debug images of prebuilt programs: what is in them, and what cannot be one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.layer_contents import ExecutableContent
from ko_pants.oci.image_config import ImageConfig
from ko_pants.products import BuiltImage
from ko_pants.target_types import GoOciImageFieldSet

DLV = [
    *("/ko-app/dlv", "exec", "--listen=:40000", "--headless", "--log", "--accept-multiclient"),
    *("--api-version=2", "--"),
]


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(BuiltImage, [GoOciImageFieldSet])])


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    return engine


def field_set(runner: RuleRunner, fields: str, platforms: str) -> GoOciImageFieldSet:
    runner.write_files(
        {
            "app/BUILD": "file(name='server', source='server.bin')\n"
            "file(name='delve', source='delve-1.2')\n"
            "file(name='other', source='dlv')\n"
            f"go_oci_image(name='image', binary=':server', base_image='scratch', {fields}, "
            f"platforms=[{platforms}])\n",
            "app/server.bin": elf(62),
            "app/delve-1.2": elf(62) + b"delve",
            "app/dlv": elf(62),
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def built(runner: RuleRunner, fields: str, platforms: str = "'linux/amd64'") -> BuiltImage:
    return runner.request(BuiltImage, [field_set(runner, fields, platforms)])


def mistake(runner: RuleRunner, fields: str, platforms: str = "'linux/amd64'") -> str:
    return error_of(runner, BuiltImage, [field_set(runner, fields, platforms)])


def config_of(image: BuiltImage) -> Any:
    return json.loads(image.image.manifests[0].config)


def test_delve_runs_the_program_as_in_ko(runner: RuleRunner) -> None:
    image = built(runner, "debug=True, delve=':delve', entrypoint_args=['--port=1'], cmd=['x']")
    config = config_of(image)
    assert config["config"]["Entrypoint"] == [*DLV, "/ko-app/server.bin", "--port=1"]
    assert config["config"]["Cmd"] == ["x"]
    assert "ExposedPorts" not in config["config"]
    comments = [entry["comment"] for entry in config["history"]]
    assert comments == [
        "kodata contents, at $KO_DATA_PATH",
        "Delve debugger, at /ko-app/dlv",
        "go build output, at /ko-app/server.bin",
    ]
    assert len(image.image.manifests[0].layers) == 3


def test_as_in_ko_delve_has_the_capabilities_of_the_program(runner: RuleRunner) -> None:
    image = built(runner, "debug=True, delve=':delve', linux_capabilities=['cap_sys_ptrace=ep']")
    contents = [a.layer.request.content for a in image.platforms[0].layers]
    attributes = {c.capabilities for c in contents if isinstance(c, ExecutableContent)}
    assert len(attributes) == 1
    assert attributes != {""}


def test_without_debug_nothing_of_it_is_in_the_image(runner: RuleRunner) -> None:
    plain = built(runner, "skip_push=False")
    assert built(runner, "delve=':delve'").image == plain.image
    assert built(runner, "debug=False").image == plain.image
    assert plain.config == ImageConfig(app_name="server.bin")


def test_an_option_makes_debug_images_of_targets_that_say_nothing(runner: RuleRunner) -> None:
    configure(runner, "--ko-debug")
    assert config_of(built(runner, "delve=':delve'"))["config"]["Entrypoint"][0] == "/ko-app/dlv"
    assert config_of(built(runner, "debug=False"))["config"]["Entrypoint"] == ["/ko-app/server.bin"]


def test_platforms_without_debugger_by_option(runner: RuleRunner) -> None:
    configure(runner, "--ko-debug")
    text = mistake(runner, "delve=':delve'", "'linux/s390x'")
    assert text.startswith("app:image, option [ko].debug: found the platforms linux/s390x; ")


def test_a_cpu_level_can_be_debugged(runner: RuleRunner) -> None:
    assert built(runner, "debug=True, delve=':delve'", "'linux/amd64/v3'").config.debugger == "dlv"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("debug=True", "field `debug`: the program is prebuilt, so no go.mod says which version"),
        ("debug=True, delve=':gone'", ":gone"),
        ("debug=True, delve=':other', binaries=[':other']", "two programs are /ko-app/dlv"),
        ("disable_optimizations=True", "`disable_optimizations`: found True for a prebuilt"),
    ],
)
def test_mistakes(runner: RuleRunner, fields: str, words: str) -> None:
    if ":gone" in fields:
        with pytest.raises(Exception, match=words):
            built(runner, fields)
        return
    text = mistake(runner, fields)
    assert text.startswith("app:image, field ")
    assert words in text


def test_delve_for_another_architecture(runner: RuleRunner) -> None:
    runner.write_files({"app/arm": elf(183)})
    text = mistake(runner, "debug=True, delve=':delve'", "'linux/arm64'")
    assert "field `binary`: app/server.bin" in text


def test_an_option_without_optimizations_leaves_prebuilt_programs_alone(
    runner: RuleRunner,
) -> None:
    plain = built(runner, "skip_push=False")
    configure(runner, "--ko-disable-optimizations")
    assert built(runner, "skip_push=False") == plain
