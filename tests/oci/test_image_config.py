"""The config of an image, as ko writes it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Sequence

import pytest
from oci.images import (
    AMD64,
    ARM7,
    ARM64,
    CONFIG,
    WINDOWS,
    app_layer,
    base_image,
    compose,
    only_config,
)

from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.oci.image import BaseImage, compose_image, scratch_base
from ko_pants.oci.image_config import History, rfc3339
from ko_pants.oci.platform import Platform

ZERO_TIME = "0001-01-01T00:00:00Z"
KO_DATA = ["KO_DATA_PATH=/var/run/ko"]


def env_of(base_env: Sequence[str] | None, platform: Platform = AMD64) -> list[str]:
    inner: dict[str, Any] = {} if base_env is None else {"Env": base_env}
    env: list[str] = only_config(compose(base_image(platform, config=inner)))["config"]["Env"]
    return env


def env_with(base: BaseImage, *ours: str) -> list[str]:
    env: list[str] = only_config(compose(base, replace(CONFIG, env=ours)))["config"]["Env"]
    return env


# The config, as ko's


def test_the_program_is_the_entrypoint_and_cmd_of_the_base_is_dropped() -> None:
    base = base_image(AMD64, config={"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["true"]})
    inner = only_config(compose(base))["config"]
    assert inner["Entrypoint"] == ["/ko-app/server"]
    assert "Cmd" not in inner


def test_what_else_the_base_says_stays() -> None:
    inner = {
        "User": "65532",
        "WorkingDir": "/home",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
    }
    found = only_config(compose(base_image(AMD64, config=inner)))["config"]
    assert {key: found[key] for key in inner} == inner


@pytest.mark.parametrize(
    ("base_env", "expected"),
    [
        (None, ["PATH=/ko-app"]),
        ([], ["PATH=/ko-app"]),
        (["A=1"], ["A=1", "PATH=/ko-app"]),
        (["PATH=/usr/bin:/bin", "A=1"], ["PATH=/usr/bin:/bin:/ko-app", "A=1"]),
        (["PATH="], ["PATH=:/ko-app"]),
        (["A=PATH=/x"], ["A=PATH=/x", "PATH=/ko-app"]),
        (["XPATH=/x"], ["XPATH=/x", "PATH=/ko-app"]),
        # Only the first of two, as ko.
        (["PATH=/a", "PATH=/b"], ["PATH=/a:/ko-app", "PATH=/b"]),
    ],
)
def test_path_and_ko_data_path(base_env: list[str] | None, expected: list[str]) -> None:
    assert env_of(base_env) == [*expected, "KO_DATA_PATH=/var/run/ko"]


# base env, PATH, KO_DATA_PATH, ours: a later one takes the place of an earlier one.
@pytest.mark.parametrize(
    ("base_env", "ours", "expected"),
    [
        ([], ["A=1"], ["PATH=/ko-app", "KO_DATA_PATH=/var/run/ko", "A=1"]),
        (
            ["A=base", "PATH=/bin", "B=base"],
            ["B=", "C=1", "A=ours=x"],
            ["A=ours=x", "PATH=/bin:/ko-app", "B=", "KO_DATA_PATH=/var/run/ko", "C=1"],
        ),
        # Just what the target says.
        (
            ["PATH=/bin", "KO_DATA_PATH=/x"],
            ["KO_DATA_PATH=/data", "PATH=/opt"],
            ["PATH=/opt", "KO_DATA_PATH=/data"],
        ),
        ([], ["PATH=/opt"], ["PATH=/opt", "KO_DATA_PATH=/var/run/ko"]),
        # Nothing that the base repeats is left to win.
        (
            ["A=1", "PATH=/a", "A=2", "PATH=/b"],
            ["A=3", "PATH=/c"],
            ["A=3", "PATH=/c", "KO_DATA_PATH=/var/run/ko"],
        ),
        (["a=1", "AB=1"], ["A=2"], ["a=1", "AB=1", "PATH=/ko-app", *KO_DATA, "A=2"]),
        # No `=` in the base, as ko leaves it.
        (["A", "PATH"], ["B=1"], ["A", "PATH", "PATH=/ko-app", *KO_DATA, "B=1"]),
        (["A"], ["A=1"], ["A=1", "PATH=/ko-app", *KO_DATA]),
    ],
)
def test_what_the_target_sets_comes_last(
    base_env: list[str], ours: list[str], expected: list[str]
) -> None:
    base = base_image(AMD64, config={"Env": base_env})
    assert env_with(base, *ours) == expected


def test_windows_knows_no_case_in_names_of_variables() -> None:
    base = base_image(WINDOWS, config={"Env": [r"Path=C:\Windows", "a=1"]})
    # As in ko, `Path` is another name than `PATH`; a variable of ours is not doubled.
    assert env_with(base) == [
        r"Path=C:\Windows",
        "a=1",
        r"PATH=C:\ko-app",
        r"KO_DATA_PATH=C:\var\run\ko",
    ]
    assert env_with(base, r"PATH=C:\x", "A=2") == [
        r"PATH=C:\x",
        "A=2",
        r"KO_DATA_PATH=C:\var\run\ko",
    ]


def test_arguments_that_stay_and_arguments_that_are_defaults() -> None:
    base = base_image(AMD64, config={"Entrypoint": ["/bin/sh"], "Cmd": ["base"]})
    config = replace(CONFIG, entrypoint_args=("--config", "/etc/x"), cmd=("serve", ""))
    inner = only_config(compose(base, config))["config"]
    assert inner["Entrypoint"] == ["/ko-app/server", "--config", "/etc/x"]
    assert inner["Cmd"] == ["serve", ""]
    inner = only_config(compose(base, replace(CONFIG, entrypoint_args=("x",))))["config"]
    assert "Cmd" not in inner
    inner = only_config(compose(base_image(WINDOWS), config))["config"]
    assert inner["Entrypoint"] == [r"C:\ko-app\server", "--config", "/etc/x"]


def test_what_the_target_says_takes_the_place_of_the_bases() -> None:
    base = base_image(
        AMD64, config={"User": "0", "WorkingDir": "/", "StopSignal": "SIGINT", "Extra": [1]}
    )
    config = replace(CONFIG, user="65532:65532", workdir="/app", stop_signal="SIGQUIT")
    inner = only_config(compose(base, config))["config"]
    assert (inner["User"], inner["WorkingDir"], inner["StopSignal"]) == (
        "65532:65532",
        "/app",
        "SIGQUIT",
    )
    assert inner["Extra"] == [1]


@pytest.mark.parametrize("of_base", [{}, {"ExposedPorts": None, "Volumes": None}])
def test_ports_and_volumes_are_added_to_those_of_the_base(of_base: dict[str, Any]) -> None:
    config = replace(CONFIG, ports=("8080/tcp", "53/udp"), volumes=("/data",))
    inner = only_config(compose(base_image(AMD64, config=of_base), config))["config"]
    assert inner["ExposedPorts"] == {"8080/tcp": {}, "53/udp": {}}
    assert inner["Volumes"] == {"/data": {}}
    of_base = {"ExposedPorts": {"80/tcp": {}}, "Volumes": {"/base": {}}}
    inner = only_config(compose(base_image(AMD64, config=of_base), config))["config"]
    assert inner["ExposedPorts"] == {"80/tcp": {}, "8080/tcp": {}, "53/udp": {}}
    assert inner["Volumes"] == {"/base": {}, "/data": {}}


def test_windows_has_its_own_spelling() -> None:
    image = compose(base_image(WINDOWS, config={"Env": [r"PATH=C:\Windows"]}))
    config = only_config(image)
    assert config["config"]["Entrypoint"] == [r"C:\ko-app\server"]
    # With a colon, as ko joins it.
    assert config["config"]["Env"] == [
        r"PATH=C:\Windows:C:\ko-app",
        r"KO_DATA_PATH=C:\var\run\ko",
    ]
    assert (config["os"], config["architecture"]) == ("windows", "amd64")
    assert config["os.version"] == "10.0.17763.1879"


def test_one_line_of_history_for_each_layer_after_those_of_the_base() -> None:
    history = [{"created": "2020-01-01T00:00:00Z", "created_by": "apko", "author": "them"}]
    layers = {
        AMD64: [
            app_layer("kodata", "", history=History("ko build x", "kodata contents", created=1000)),
            app_layer("binary", "", history=History("ko build y", "go build output")),
        ]
    }
    image = compose_image(base_image(AMD64, history=history), layers, CONFIG)
    assert only_config(image)["history"] == [
        *history,
        {
            "author": "ko",
            "created": "1970-01-01T00:16:40Z",
            "created_by": "ko build x",
            "comment": "kodata contents",
        },
        {
            "author": "ko",
            "created": ZERO_TIME,
            "created_by": "ko build y",
            "comment": "go build output",
        },
    ]


def test_labels_are_added_to_those_of_the_base_and_win() -> None:
    base = base_image(AMD64, config={"Labels": {"a": "base", "b": "base"}})
    config = replace(CONFIG, labels=sorted_pairs({"b": "ours", "c": "ours"}))
    found = only_config(compose(base, config))["config"]["Labels"]
    assert found == {"a": "base", "b": "ours", "c": "ours"}
    assert "Labels" not in only_config(compose(base_image(AMD64)))["config"]


@pytest.mark.parametrize(
    ("of_base", "ours", "expected"),
    [
        ({}, None, ZERO_TIME),
        ({}, 0, "1970-01-01T00:00:00Z"),
        ({}, 1700000000, "2023-11-14T22:13:20Z"),
        ({"created": "2020-01-01T00:00:00Z"}, None, "2020-01-01T00:00:00Z"),
        ({"created": "2020-01-01T00:00:00Z"}, 1700000000, "2023-11-14T22:13:20Z"),
    ],
)
def test_the_time_of_creation(of_base: dict[str, str], ours: int | None, expected: str) -> None:
    base = base_image(AMD64, docker=False, **of_base)
    config = only_config(compose(base, replace(CONFIG, created=ours)))
    assert config["created"] == expected


def test_who_and_for_what() -> None:
    config = only_config(compose(scratch_base([ARM7])))
    assert config["author"] == "github.com/ko-build/ko"
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")
    assert "os.version" not in config
    config = only_config(compose(scratch_base([WINDOWS])))
    assert (config["os"], config["os.version"]) == ("windows", "10.0.17763.1879")
    assert "variant" not in config


def test_the_indexs_word_for_the_platform_counts() -> None:
    base = base_image(ARM64)
    platform = replace(ARM64, variant="v8", os_version="5")
    base = replace(base, manifests=(replace(base.manifests[0], platform=platform),))
    config = only_config(compose(base))
    assert (config["variant"], config["os.version"]) == ("v8", "5")


def test_the_base_may_lack_everything_but_its_layers() -> None:
    # `config: null` is what `crane append` writes.
    inner = only_config(compose(base_image(AMD64, config=None, history=None)))
    assert inner["config"]["Entrypoint"] == ["/ko-app/server"]
    assert len(inner["history"]) == 2


# One image or an index


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1700000000, "2023-11-14T22:13:20Z"),
        (253402300799, "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(
    monkeypatch: pytest.MonkeyPatch, epoch: int, expected: str
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert rfc3339(epoch) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


# Damaged bases
