"""Dependencies of images, and who owns which file: what `--changed-since` goes by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

import pytest
from pants.engine.addresses import Address, Addresses
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.target import DependenciesRequest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.target_types import GoExecutableDependenciesField, GoOciImageDependenciesField

LIB = 'package lib\nimport _ "embed"\n//go:embed data/*.txt\nvar s string\n'
FILES = {
    "go.mod": "module example.com/app\ngo 1.21\n",
    "go.sum": "",
    "BUILD": "go_sources(name='go')\n",
    "cmd/main.go": 'package main\nimport _ "example.com/app/lib"\nfunc main() {}\n',
    "cmd/kodata/static.txt": "x",
    "cmd/BUILD": (
        "go_oci_image(name='image', platforms=['linux/amd64'])\n"
        "go_executable(name='exe', flags=['-tags=extra'])\n"
        "go_oci_image(name='tagged', binary=':exe', platforms=['linux/amd64'])\n"
        "file(name='prebuilt', source='server.bin')\n"
        "go_oci_image(name='of_file', binary=':prebuilt', platforms=['linux/amd64'])\n"
        "go_oci_image(name='nowhere', binary=':missing', platforms=['linux/amd64'])\n"
        "go_oci_image(name='default')\n"
        "go_oci_image(name='more', binaries=[':exe', ':prebuilt'], platforms=['linux/amd64'])\n"
        "go_oci_image(name='no_kodata', platforms=['linux/amd64'], kodata=False)\n"
        "go_oci_image(name='assets', platforms=['linux/amd64'], kodata='../web/assets')\n"
        "go_oci_image(name='file_assets', binary=':prebuilt', kodata='../web/assets')\n"
    ),
    "web/BUILD": "files(name='assets', sources=['assets/**'])\n",
    "web/assets/index.html": "x",
    "cmd/server.bin": "x",
    "lib/lib.go": LIB,
    "lib/lib_test.go": "package lib\n",
    "lib/extra.go": "//go:build extra\n\npackage lib\n",
    "lib/windows_windows.go": "package lib\n",
    "lib/data/a.txt": "a",
    "lib/data/b.bin": "b",
    "other/other.go": "package other\n",
}
CLOSURE = {
    "go.mod",
    "go.sum",
    "cmd/main.go",
    "cmd/kodata/static.txt",
    "lib/lib.go",
    "lib/data/a.txt",
}


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    runner = new_runner([(Addresses, [DependenciesRequest]), (Owners, [OwnersRequest])])
    runner.write_files(FILES)
    return runner


def image(runner: RuleRunner, name: str, directory: str = "cmd") -> DependenciesRequest:
    target = runner.get_target(Address(directory, target_name=name))
    field = GoOciImageDependenciesField
    if not target.has_field(field):
        return DependenciesRequest(target[GoExecutableDependenciesField])
    return DependenciesRequest(target[field])


def shown(address: Address) -> str:
    """The file of a generated `go_source`, else the address."""
    return address.filename if address.is_generated_target else address.spec


def dependencies(runner: RuleRunner, name: str) -> set[str]:
    return set(map(shown, runner.request(Addresses, [image(runner, name)])))


def owners(runner: RuleRunner, *files: str) -> Sequence[str]:
    found = runner.request(Owners, [OwnersRequest(files)])
    assert all(address.target_name == "go" for address in found)
    return list(map(shown, found))


def test_an_image_depends_on_the_files_of_its_program(runner: RuleRunner) -> None:
    assert dependencies(runner, "image") == CLOSURE


def test_an_image_of_an_executable_depends_on_it_too(runner: RuleRunner) -> None:
    # Its build tags count: `extra.go` belongs to it.
    assert dependencies(runner, "exe") == CLOSURE | {"lib/extra.go"}
    assert dependencies(runner, "tagged") == {"cmd:exe", *CLOSURE, "lib/extra.go"}


def test_an_image_depends_on_all_its_programs(runner: RuleRunner) -> None:
    assert dependencies(runner, "more") == {"cmd:exe", "cmd:prebuilt", *CLOSURE, "lib/extra.go"}


def test_an_image_depends_on_the_owners_of_its_kodata(runner: RuleRunner) -> None:
    code = CLOSURE - {"cmd/kodata/static.txt"}
    assert dependencies(runner, "no_kodata") == code
    assert dependencies(runner, "assets") == {"web/assets/index.html", *code}
    assert dependencies(runner, "file_assets") == {"web/assets/index.html", "cmd:prebuilt"}


def test_an_image_of_a_prebuilt_file_depends_on_it_alone(runner: RuleRunner) -> None:
    assert dependencies(runner, "of_file") == {"cmd:prebuilt"}


def test_every_go_file_has_an_owner_and_embedded_files_have_one_too(runner: RuleRunner) -> None:
    for path in ("go.mod", "go.sum", "cmd/main.go", "lib/lib_test.go", "other/other.go"):
        assert owners(runner, path) == [path]
    assert owners(runner, "lib/data/a.txt") == ["lib/data/a.txt"]
    # Nothing embeds it.
    assert owners(runner, "lib/data/b.bin") == []


def test_a_new_embedded_file_is_owned_and_depended_on(runner: RuleRunner) -> None:
    runner.write_files({"lib/data/new.txt": "new"})
    runner.set_options([])  # a new run
    assert owners(runner, "lib/data/new.txt") == ["lib/data/new.txt"]
    assert "lib/data/new.txt" in dependencies(runner, "image")


def test_an_image_depends_on_the_owner_of_ko_yaml(runner: RuleRunner) -> None:
    runner.write_files({".ko.yaml": "defaultFlags: [-v]\n"})
    assert dependencies(runner, "of_file") == {"cmd:prebuilt", ".ko.yaml"}
    (Path(runner.build_root) / ".ko.yaml").unlink()
    runner.set_options([])
    assert dependencies(runner, "of_file") == {"cmd:prebuilt"}


def test_a_binary_that_does_not_exist_is_named(runner: RuleRunner) -> None:
    with pytest.raises(Exception, match=r"missing"):
        dependencies(runner, "nowhere")


def test_a_misspelt_platform_is_named_with_target_and_option(runner: RuleRunner) -> None:
    configure(runner, "--ko-default-platforms=linux/amd46")
    text = error_of(runner, Addresses, [image(runner, "default")])
    configure(runner)
    assert text.startswith("cmd:default, option [ko].default_platforms")
    assert "unknown platform 'linux/amd46'" in text


def test_a_directory_without_a_module_names_the_target() -> None:
    runner = new_runner([(Addresses, [DependenciesRequest])])
    runner.write_files({"a/BUILD": "go_oci_image(name='image')", "a/main.go": "package main\n"})
    text = error_of(runner, Addresses, [image(runner, "image", "a")])
    assert text.startswith("a:image: ")
    assert "go.mod" in text


def test_files_whose_names_are_wildcards_are_owned_and_depended_on() -> None:
    runner = new_runner([(Addresses, [DependenciesRequest]), (Owners, [OwnersRequest])])
    # Go refuses to embed names with `?` or `*`.
    odd = ("[id].js", "d/[slug]/page.js", "!not", "a b")
    runner.write_files(
        {
            "go.mod": "module example.com/app\ngo 1.21\n",
            "BUILD": "go_sources(name='go')\n",
            "cmd/BUILD": "go_oci_image(name='image', platforms=['linux/amd64'])\n",
            "cmd/main.go": (
                'package main\nimport _ "embed"\n//go:embed static\nvar s string\nfunc main() {}\n'
            ),
            "cmd/static/i.js": "decoy",
            **{f"cmd/static/{name}": name for name in odd},
        }
    )
    for name in odd:
        # Pants looks for the changed file with its name as a glob, and so finds the decoy too.
        assert f"cmd/static/{name}" in owners(runner, f"cmd/static/{name}")
    found = dependencies(runner, "image")
    assert {path for path in found if path.startswith("cmd/static/")} == {
        "cmd/static/i.js",
        *(f"cmd/static/{name}" for name in odd),
    }


@pytest.mark.parametrize("leads_to", ["/etc/hosts", "."], ids=["absolute", "to its own directory"])
def test_a_link_that_pants_cannot_follow_names_the_option(leads_to: str) -> None:
    runner = new_runner([(Owners, [OwnersRequest])])
    runner.write_files({"a/BUILD": "go_sources()", "a/main.go": "package main\n"})
    os.symlink(leads_to, os.path.join(runner.build_root, "a", "link"))
    text = error_of(runner, Owners, [OwnersRequest(("a/main.go",))])
    assert text.startswith("a:a, field `sources`: ")
    assert "a/link" in text
    assert "[GLOBAL].pants_ignore" in text


def test_a_link_below_an_embedded_directory_that_pants_cannot_follow_names_the_option() -> None:
    runner = new_runner([(Owners, [OwnersRequest])])
    runner.write_files(
        {
            "a/BUILD": "go_sources()",
            "a/main.go": 'package main\nimport _ "embed"\n//go:embed static\nvar s string\n',
            "a/static/page": "",
        }
    )
    os.symlink("/etc/hosts", os.path.join(runner.build_root, "a/static/link"))
    text = error_of(runner, Owners, [OwnersRequest(("a/main.go",))])
    assert text.startswith("a:a, field `sources`: Pants cannot look for ")
    assert "a/static/link" in text
    assert "[GLOBAL].pants_ignore" in text


@pytest.mark.parametrize(
    "main", ["cmd/main.go", "./cmd/main.go", "nats.go", "nats.go/nats.go", "x.io/cmd"]
)
def test_main_may_be_a_file_as_in_ko_and_a_directory_may_look_like_one(main: str) -> None:
    runner = new_runner([(Addresses, [DependenciesRequest])])
    directory = "cmd" if "cmd/main" in main else main.replace("/nats.go", "")
    runner.write_files(
        {
            "app/BUILD": f"go_sources(name='go')\ngo_executable(name='exe', main={main!r})\n",
            "app/go.mod": "module example.com/app\ngo 1.21\n",
            f"app/{directory}/{'nats' if 'nats' in main else 'main'}.go": "package main\n",
        }
    )
    request = image(runner, "exe", "app")
    found = {address.filename for address in runner.request(Addresses, [request])}
    name = "nats.go" if "nats" in main else "main.go"
    assert found == {"app/go.mod", f"app/{directory}/{name}"}


@pytest.mark.parametrize(
    ("main", "found"),
    [
        ("cmd/absent.go", "'cmd/absent.go', which is no file"),
        ("example.com/app/cmd", "'example.com/app/cmd', which is no directory with Go files"),
        ("x.go/y", "'x.go/y', which is no directory"),
    ],
)
def test_main_that_is_no_directory_says_what_is_wanted(main: str, found: str) -> None:
    runner = new_runner([(Addresses, [DependenciesRequest])])
    runner.write_files(
        {
            "app/BUILD": f"go_executable(name='exe', main={main!r})\n",
            "app/go.mod": "module example.com/app\ngo 1.21\n",
            "app/cmd/main.go": "package main\n",
        }
    )
    text = error_of(runner, Addresses, [image(runner, "exe", "app")])
    assert text.startswith("app:exe, field `main`: expected the directory of a main package")
    assert found in text
