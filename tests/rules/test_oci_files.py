"""From `oci_files` to layers: which files, where, with which modes and owners."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Mapping, Sequence

import pytest
from pants.engine.addresses import Address, Addresses
from pants.engine.fs import Digest, DigestContents
from pants.engine.target import DependenciesRequest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, layer_request, new_runner

from ko_pants.files_fields import OciFilesDependenciesField
from ko_pants.layer_contents import LayerContent
from ko_pants.oci.image import ImageManifest
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BuiltImage,
    HostTools,
    HostToolsRequest,
    LayerBlob,
    LayerBlobRequest,
    PackedFiles,
)
from ko_pants.rules.settings import Settings
from ko_pants.target_types import (
    GoOciImageDependenciesField,
    GoOciImageFieldSet,
    OciFilesFieldSet,
)

LINUX = Platform("linux", "amd64")
IMAGE = "go_oci_image(name='image', binary=':server', base_image='scratch'"
Files = Mapping[str, "str | bytes"]


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (BuiltImage, [GoOciImageFieldSet]),
            (PackedFiles, [OciFilesFieldSet]),
            (LayerBlob, [LayerBlobRequest]),
            (DigestContents, [Digest]),
            (HostTools, [HostToolsRequest]),
            (Settings, []),
            (Addresses, [DependenciesRequest]),
        ],
    )


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    for directory in ("app", "web"):
        shutil.rmtree(Path(engine.build_root) / directory, ignore_errors=True)
    configure(engine)
    return engine


def write(runner: RuleRunner, build: str, files: Files) -> None:
    runner.write_files(
        {
            "app/BUILD": f"file(name='server', source='server')\n{build}\n",
            "app/server": elf(62),
            **files,
        }
    )


def field_set(runner: RuleRunner, fields: str, files: Files) -> OciFilesFieldSet:
    """The target `app:etc` with these fields; `server` is an executable of linux/amd64 there."""
    write(runner, f"oci_files(name='etc', {fields})", files)
    return OciFilesFieldSet.create(runner.get_target(Address("app", target_name="etc")))


def packed(runner: RuleRunner, fields: str, files: Files) -> PackedFiles:
    return runner.request(PackedFiles, [field_set(runner, fields, files)])


def mistake(runner: RuleRunner, fields: str, files: Files) -> str:
    return error_of(runner, PackedFiles, [field_set(runner, fields, files)])


def members(runner: RuleRunner, content: LayerContent, platform: Platform = LINUX) -> list[str]:
    """Mode, owner and name of everything in the layer of a content."""
    request = layer_request(runner, platform, content)
    blob = runner.request(LayerBlob, [LayerBlobRequest(request)])
    (file,) = runner.request(DigestContents, [blob.digest])
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(file.content))) as tar:
        return [
            f"{m.mode:04o} {m.uid}:{m.gid} {m.name}{'/' if m.isdir() else ''}"
            for m in tar.getmembers()
        ]


def test_sources_keep_their_path_below_the_build_file(runner: RuleRunner) -> None:
    files = {"app/config/a.yaml": "a", "app/config/deep/b.yaml": "b", "app/config/README.md": ""}
    found = packed(runner, "sources=['config/**', '!**/*.md'], at='/etc/app'", files)
    assert found.paths == {"/etc/app/config/a.yaml", "/etc/app/config/deep/b.yaml"}
    # No directories: those of the base stay as they are.
    assert members(runner, found.content) == [
        "0644 0:0 /etc/app/config/a.yaml",
        "0644 0:0 /etc/app/config/deep/b.yaml",
    ]


def test_prefix_name_modes_and_owner_are_the_fields(runner: RuleRunner) -> None:
    fields = (
        "sources=['config/**'], at='/etc/app/', strip_prefix='config', owner='7:8', mode='0600',"
        "directory_mode='0750', rename={'prod.yaml': 'deep/app.yaml'}"
    )
    files = {"app/config/prod.yaml": "a", "app/config/x/b": "b"}
    assert members(runner, packed(runner, fields, files).content) == [
        "0750 7:8 /etc/app/",
        "0750 7:8 /etc/app/deep/",
        "0600 7:8 /etc/app/deep/app.yaml",
        "0750 7:8 /etc/app/x/",
        "0600 7:8 /etc/app/x/b",
    ]


def test_the_executable_bit_is_kept(runner: RuleRunner) -> None:
    write(runner, "", {"app/run.sh": "#!/bin/sh\n", "app/text": ""})
    os.chmod(Path(runner.build_root) / "app" / "run.sh", 0o700)
    found = packed(runner, "sources=['run.sh', 'text'], at='/bin'", {})
    assert members(runner, found.content) == ["0755 0:0 /bin/run.sh", "0644 0:0 /bin/text"]


def test_an_empty_directory(runner: RuleRunner) -> None:
    found = packed(runner, "at='/var/lib/app', directory_mode='0700', owner='65532:65532'", {})
    assert members(runner, found.content) == ["0700 65532:65532 /var/lib/app/"]


def test_a_windows_layer_has_all_directories(runner: RuleRunner) -> None:
    found = packed(runner, "sources=['a.txt'], at='/etc/app'", {"app/a.txt": ""})
    assert [
        m.split()[-1] for m in members(runner, found.content, Platform("windows", "amd64"))
    ] == [
        "Hives/",
        "Files/",
        "Files/etc/",
        "Files/etc/app/",
        "Files/etc/app/a.txt",
    ]


def test_sources_of_other_targets_and_relocated_ones(runner: RuleRunner) -> None:
    files = {
        "web/BUILD": (
            "files(name='dist', sources=['dist/**'])\n"
            "resource(name='one', source='one.txt')\n"
            "relocated_files(name='moved', files_targets=[':dist'], src='web/dist', dest='moved')\n"
        ),
        "web/dist/index.html": "",
        "web/dist/css/x.css": "",
        "web/one.txt": "1",
    }
    targets = "targets=['//web:dist', '//web:one', '//web:moved'], at='/srv'"
    assert packed(runner, targets, files).paths == {
        "/srv/dist/index.html",
        "/srv/dist/css/x.css",
        "/srv/one.txt",
        "/srv/moved/index.html",
        "/srv/moved/css/x.css",
    }


def test_a_package_has_its_file_name(runner: RuleRunner) -> None:
    files = {
        "web/BUILD": (
            "files(name='dist', sources=['dist/**'])\n"
            "archive(name='all', format='tar.gz', files=[':dist'])\n"
        ),
        "web/dist/index.html": "",
    }
    found = packed(runner, "targets=['//web:all'], at='/srv'", files)
    assert found.paths == {"/srv/all.tar.gz"}


def test_equal_files_are_one_layer_wherever_they_come_from(runner: RuleRunner) -> None:
    one = packed(runner, "sources=['a/x'], strip_prefix='a', at='/etc'", {"app/a/x": "x"})
    web = {"web/BUILD": "file(name='x', source='x')", "web/x": "x"}
    other = packed(runner, "targets=['//web:x'], at='/etc'", web)
    assert one.content == other.content
    assert one.content.key(LINUX) == other.content.key(LINUX)
    elsewhere = packed(runner, "targets=['//web:x'], at='/opt'", web)
    assert elsewhere.content.key(LINUX) != one.content.key(LINUX)


SAME = {"web/BUILD": "file(name='x', source='x')\nfile(name='y', source='y')", "web/y": "y"}


@pytest.mark.parametrize(
    ("fields", "files", "words"),
    [
        ("sources=['none.txt']", {}, ["field `sources`", "no file matches 'none.txt' in app"]),
        ("sources=['config/*']", {}, ["field `sources`", "no file matches 'config/*' in app"]),
        ("sources=['d']", {"app/d/x": ""}, ["no file matches 'd'", "such as 'config/**'"]),
        ("sources=['a', '!a']", {"app/a": ""}, ["field `sources`", "no file is left by 'a', '!a'"]),
        (
            "sources=['a'], strip_prefix='config'",
            {"app/a": ""},
            ["field `strip_prefix`", "a (of app:etc) is not below 'config'"],
        ),
        (
            "sources=['a'], rename={'b': 'c'}",
            {"app/a": ""},
            ["field `rename`", "there is no file 'b'; found a"],
        ),
        (
            "sources=['x'], targets=['//web:x']",
            {**SAME, "app/x": "1", "web/x": "2"},
            ["two files at /srv/x: app/x (of app:etc) and web/x (of web:x)"],
        ),
        (
            "sources=['x', 'y'], rename={'x': 'y/z'}",
            {"app/x": "", "app/y": ""},
            ["/srv/y is a file, and a directory"],
        ),
        (
            "targets=[':nothing']",
            {},
            ["field `targets`", "app:nothing is a `target`", "no other file"],
        ),
        (
            "targets=[':image']",
            {},
            ["field `targets`", "app:image is a `go_oci_image`"],
        ),
    ],
)
def test_a_mistake_names_target_field_and_what_was_found(
    runner: RuleRunner, fields: str, files: Files, words: Sequence[str]
) -> None:
    write(runner, "", files)
    build = f"target(name='nothing')\n{IMAGE})\noci_files(name='etc', {fields}, at='/srv')"
    write(runner, build, files)
    etc = OciFilesFieldSet.create(runner.get_target(Address("app", target_name="etc")))
    text = error_of(runner, PackedFiles, [etc])
    assert text.startswith("app:etc")
    for word in words:
        assert word in text


def image(runner: RuleRunner, build: str, files: Files, fields: str = "") -> GoOciImageFieldSet:
    """The image `app:image` with `etc` and `web` as its files."""
    write(runner, f"{IMAGE}, files=[':etc', ':web'], {fields})\n{build}", files)
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


TWO = (
    "oci_files(name='etc', sources=['etc.yaml'], at='/etc')\n"
    "oci_files(name='web', sources=['web.html'], at='/srv')\n"
)
BOTH = {"app/etc.yaml": "1", "app/web.html": "2"}


def manifests(runner: RuleRunner, target: GoOciImageFieldSet) -> tuple[ImageManifest, ...]:
    return runner.request(BuiltImage, [target]).image.manifests


def test_files_are_layers_below_kodata_and_the_program(runner: RuleRunner) -> None:
    built = runner.request(BuiltImage, [image(runner, TWO, BOTH)])
    (part,) = built.platforms
    assert [layer.kind for layer in built.image.manifests[0].layers] == [
        *("files", "files", "kodata", "binary"),
    ]
    assert [(added.history.created_by, added.history.comment) for added in part.layers[:2]] == [
        ("oci_files app:etc", "files, at /etc"),
        ("oci_files app:web", "files, at /srv"),
    ]


def test_an_edit_of_a_file_leaves_the_other_layers(runner: RuleRunner) -> None:
    before = manifests(runner, image(runner, TWO, BOTH))[0].layers
    after = manifests(runner, image(runner, TWO, {**BOTH, "app/web.html": "3"}))[0].layers
    same = [old.diff_id == new.diff_id for old, new in zip(before, after)]
    assert same == [True, False, True, True]


@pytest.mark.parametrize(
    ("build", "fields", "words"),
    [
        (
            TWO.replace("/srv", "/etc").replace("web.html", "etc.yaml"),
            "",
            ["two layers have /etc/etc.yaml: app:etc and app:web"],
        ),
        (
            TWO.replace("/srv", "/etc/etc.yaml"),
            "",
            ["two layers have /etc/etc.yaml: app:etc and app:web"],
        ),
        (TWO.replace("/srv", "/ko-app/server"), "", ["/ko-app/server: app:web and a program"]),
        (
            TWO.replace("'/srv'", "'/var/run/ko'"),
            "kodata='data'",
            ["two layers have /var/run/ko/web.html: app:web and kodata"],
        ),
        (
            "file(name='etc', source='etc.yaml')\n" + TWO.partition("\n")[2],
            "",
            ["app:etc is a `file`; expected an `oci_files`", "oci_files(targets=['app:etc']"],
        ),
    ],
)
def test_a_path_in_two_layers_names_both(
    runner: RuleRunner, build: str, fields: str, words: Sequence[str]
) -> None:
    files = {**BOTH, "app/data/web.html": ""}
    text = error_of(runner, BuiltImage, [image(runner, build, files, fields)])
    assert text.startswith("app:image, field `files`: ")
    for word in words:
        assert word in text


def test_dependencies_are_the_files_and_what_they_take(runner: RuleRunner) -> None:
    write(
        runner,
        f"{IMAGE}, files=[':etc'])\n"
        "oci_files(name='etc', sources=['a'], targets=['//web:dist'], at='/srv')\n",
        {"app/a": "", "web/BUILD": "files(name='dist', sources=['x'])", "web/x": ""},
    )

    def dependencies(name: str, field: type) -> set[str]:
        target = runner.get_target(Address("app", target_name=name))
        found = runner.request(Addresses, [DependenciesRequest(target[field])])
        return {address.spec for address in found}

    assert dependencies("image", GoOciImageDependenciesField) == {"app:etc", "app:server"}
    assert dependencies("etc", OciFilesDependenciesField) == {"web/x:dist"}
