"""`package` writes the SBOMs and the provenance of an image beside it, where they are wanted."""

from __future__ import annotations

from typing import Any

import pytest
from pants.core.goals.package import BuiltPackage
from pants.core.goals.publish import Publish
from pants.engine.addresses import Address
from pants.engine.fs import Digest, DigestContents
from pants.engine.goal import CurrentExecutingGoals
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, new_runner

from ko_pants.products import BuiltImage, ImageArtifacts, ImageArtifactsRequest, WantedArtifacts
from ko_pants.target_types import GoOciImageFieldSet

ONE, TWO = ["linux/amd64"], ["linux/amd64", "linux/amd64/v3"]
ALL = ("--ko-sbom=spdx,cyclonedx", "--ko-provenance")
WANTED = WantedArtifacts(("cyclonedx", "spdx"), provenance=True)
ENDINGS = {
    "spdx": ("sbom/", ".spdx.json"),
    "cyclonedx": ("sbom/", ".cdx.json"),
    "provenance": ("provenance/", ".intoto.json"),
}


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (BuiltPackage, [GoOciImageFieldSet]),
            (BuiltImage, [GoOciImageFieldSet]),
            (DigestContents, [Digest]),
            (ImageArtifacts, [ImageArtifactsRequest]),
        ]
    )


def field_set(runner: RuleRunner, fields: str) -> GoOciImageFieldSet:
    """The image of a prebuilt file."""
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                f"go_oci_image(name='image', binary=':server', base_image='scratch', {fields})\n"
            ),
            "app/server.bin": elf(62),
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def packaged(runner: RuleRunner, fields: str, *options: str) -> BuiltPackage:
    configure(runner, *options)
    return runner.request(BuiltPackage, [field_set(runner, fields)])


def files(runner: RuleRunner, package: BuiltPackage) -> dict[str, bytes]:
    """The files beside the descriptors, by their paths in the directory of the image."""
    prefix = "app/image.image/"
    found = {f.path: f.content for f in runner.request(DigestContents, [package.digest])}
    assert all(path.startswith(prefix) for path in found)
    names = {path[len(prefix) :]: content for path, content in found.items()}
    return {
        name: content
        for name, content in names.items()
        if not name.startswith("blobs/") and name != "image.json"
    }


@pytest.mark.parametrize(
    ("platforms", "names"),
    [(ONE, ["linux-amd64"]), (TWO, ["linux-amd64", "linux-amd64-v3", "index"])],
)
def test_a_file_for_each_platform_and_the_index(
    engine: RuleRunner, platforms: list[str], names: list[str]
) -> None:
    found = files(engine, packaged(engine, f"platforms={platforms}", *ALL))
    built = engine.request(BuiltImage, [field_set(engine, f"platforms={platforms}")])
    artifacts = engine.request(ImageArtifacts, [ImageArtifactsRequest(built, WANTED)]).artifacts
    expected = {}
    for number, artifact in enumerate(artifacts):
        directory, ending = ENDINGS[artifact.kind]
        expected[f"{directory}{names[number // 3]}{ending}"] = artifact.content
    assert found == expected


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ("", ()),
        ("sbom=[], provenance=False, ", ALL),
        ("", (*ALL, "--ko-sbom=none", "--no-ko-provenance")),
    ],
)
def test_what_wants_none_has_the_package_that_it_always_had(
    engine: RuleRunner, fields: str, options: tuple[str, ...]
) -> None:
    plain = packaged(engine, f"platforms={TWO}")
    assert files(engine, plain) == {}
    assert packaged(engine, f"{fields}platforms={TWO}", *options).digest == plain.digest


def test_the_fields_of_one_image(engine: RuleRunner) -> None:
    fields = f"platforms={ONE}, sbom=['cyclonedx'], provenance=True"
    assert list(files(engine, packaged(engine, fields))) == [
        "provenance/linux-amd64.intoto.json",
        "sbom/linux-amd64.cdx.json",
    ]


def test_publish_makes_no_files_that_nobody_sees(
    engine: RuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package of `publish` is written nowhere."""
    values: dict[Any, Any] = {CurrentExecutingGoals: CurrentExecutingGoals({"publish": Publish})}
    monkeypatch.setattr(engine, "extra_session_values", values)
    assert files(engine, packaged(engine, f"platforms={ONE}", *ALL)) == {}
    monkeypatch.undo()
    assert len(files(engine, packaged(engine, f"platforms={ONE}", *ALL))) == 3
