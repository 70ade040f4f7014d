from __future__ import annotations

import hashlib

import pytest
from inventories import IMAGE, SERVER, STRIPPED, TOOL, go_sum

from ko_pants.artifacts.built_modules import modules_of, stable_id, sum_hex
from ko_pants.artifacts.inventory import File, Program
from ko_pants.golang.build_info import BuildInfo, Module


def test_what_replaces_a_module_stands_in_its_place() -> None:
    modules = modules_of([SERVER])
    assert {module.path: replaced for module, replaced in modules.replaced.items()} == {
        "../library": ("example.com/library v0.0.0",),
        "example.com/app": (),
        "example.com/fork": ("example.com/upstream v1.0.0",),
        "github.com/BurntSushi/toml": (),
        "golang.org/x/net": (),
    }


def test_a_module_of_several_programs_is_there_once() -> None:
    modules = modules_of(IMAGE.programs)
    assert [module.path for module in modules.replaced].count("golang.org/x/net") == 1
    server, tool, stripped = modules.programs
    assert server is not None
    assert tool is not None
    assert stripped is None
    assert set(tool.others) < set(server.others)
    assert tool.main is not None
    assert tool.main.version == "v1.2.3"


def test_a_directory_belongs_to_the_main_module_that_names_it() -> None:
    programs = [
        Program(
            File(f"/{main}", "", 0),
            build_info=BuildInfo("", main=Module(main), modules=(Module("./x"),)),
        )
        for main in ("example.com/a", "example.com/b")
    ]
    assert [m.relative_to for m in modules_of(programs).replaced if m.path == "./x"] == [
        "example.com/a",
        "example.com/b",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (go_sum("x"), hashlib.sha256(b"x").hexdigest()),
        ("", ""),
        ("h2:" + go_sum("x")[3:], ""),
        ("h1:AAAA", ""),
        ("h1:no base64!", ""),
    ],
)
def test_sum_hex(text: str, expected: str) -> None:
    assert sum_hex(text) == expected


def test_an_id_says_what_it_is_of() -> None:
    assert stable_id("File", "/var/x_y.txt", "1") != stable_id("File", "/var/x_y.txt", "2")
    assert stable_id("File", "/var/x_y.txt").startswith("File-var-x-y.txt-")
    assert stable_id("File", "\udcff")


def test_no_build_info_gives_no_modules() -> None:
    assert modules_of([STRIPPED]).replaced == {}
    assert modules_of([TOOL, STRIPPED]).programs[1] is None
