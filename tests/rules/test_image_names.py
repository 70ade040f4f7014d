"""The names of a target's image: placeholders of the built image, and values of the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.products import PublishPlan, PublishPlanRequest
from ko_pants.publishing.placeholders import content_hash

REQUEST = PublishPlanRequest(Address("app", target_name="image"))


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(PublishPlan, [PublishPlanRequest])])


def write(runner: RuleRunner, fields: str) -> None:
    """The image `app:image` of a prebuilt file."""
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                "go_oci_image(name='image', binary=':server', base_image='scratch', "
                f"platforms=['linux/amd64'], {fields})\n"
            ),
            "app/server.bin": elf(62),
        }
    )


def plan(
    engine: RuleRunner, fields: str, *options: str, environment: dict[str, str] | None = None
) -> PublishPlan:
    configure(engine, *options, **(environment or {}))
    write(engine, fields)
    return engine.request(PublishPlan, [REQUEST])


def test_a_tag_that_stands_for_what_is_in_the_image(engine: RuleRunner) -> None:
    fields = "image_tags=['latest', '{pants.hash}']"
    found = plan(engine, fields)
    configs = tuple(m.config_descriptor.digest for m in found.built.image.manifests)
    (destination,) = found.destinations
    assert destination.tags == ("latest", content_hash(configs))
    # Another compression is another digest, and what is in the image is the same.
    other = plan(engine, fields, "--ko-layer-compression=none")
    assert other.built.image.descriptor.digest != found.built.image.descriptor.digest
    assert other.destinations == found.destinations


def test_tags_and_labels_of_the_environment(engine: RuleRunner) -> None:
    fields = "image_tags=[env('TAG', 'dev')], image_labels={'version': env('TAG', 'dev')}"
    for value in ("1.2.3", "1.2.4"):
        found = plan(engine, fields, environment={"TAG": value})
        assert [d.tags for d in found.destinations] == [(value,)]
        assert found.built.config.labels == (("version", value),)
    assert [d.tags for d in plan(engine, fields).destinations] == [("dev",)]


def test_ko_s_naming_of_a_prebuilt_file(engine: RuleRunner) -> None:
    configure(engine, "--ko-naming=md5")
    write(engine, "")
    text = error_of(engine, PublishPlan, [REQUEST])
    assert text.startswith("app:image: ")
    assert "no import path" in text or "has none" in text
    found = plan(engine, "repository='own'", "--ko-naming=md5")
    assert [d.repository for d in found.destinations] == ["own"]


def test_bare_is_ko_docker_repo_alone(engine: RuleRunner) -> None:
    found = plan(
        engine, "", "--ko-naming=bare", environment={"KO_DOCKER_REPO": "registry.example.com/a/b"}
    )
    assert [d.names for d in found.destinations] == [("registry.example.com/a/b:latest",)]


def test_tags_of_git(engine: RuleRunner, tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "-q", "-b", "trunk")
    (tmp_path / "file").write_text("1")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    environment = {
        "GIT_DIR": str(tmp_path / ".git"),
        "GIT_WORK_TREE": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    fields = "image_tags=['{{.Git.Tag}}-{name}', 'latest']"
    for tag in ("v1", "v2"):
        git("tag", tag)
        found = plan(engine, fields, environment=environment)
        assert [d.tags for d in found.destinations] == [(f"{tag}-image", "latest")]
        git("commit", "-q", "--allow-empty", "-m", "next")


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("{{.Env.NOT_SET}}", ["{{.Env.NOT_SET}}", "no variable NOT_SET"]),
        ("{{.Env.BRACES}}", ["{{.Env.BRACES}}", "'{name}'", "no braces"]),
        ("{{.GoEnv.GOARCH}}", ["{{.GoEnv.GOARCH}}", "platform"]),
        ("{{.Env.GOARCH}}", ["{{.Env.GOARCH}}", "platform"]),
    ],
)
def test_a_template_that_cannot_be_filled_in(
    engine: RuleRunner, tag: str, words: list[str]
) -> None:
    configure(engine, BRACES="{name}")
    write(engine, f"image_tags=[{tag!r}]")
    text = error_of(engine, PublishPlan, [REQUEST])
    for word in ("app:image", "field `image_tags`", *words):
        assert word in text
