"""`run` of an image: what Pants is told to run, and what happens when it is run."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from pants.core.goals.run import RunRequest
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.goals.run import GoOciImageRunFieldSet
from ko_pants.publishing.container_engines import machine_platform

HERE = str(machine_platform("linux"))
OTHER = "linux/arm64" if HERE == "linux/amd64" else "linux/amd64"
MACHINES = {"linux/amd64": 62, "linux/arm64": 183}

pytestmark = pytest.mark.skipif(HERE not in MACHINES, reason=f"a prebuilt file for {HERE}")


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(RunRequest, [GoOciImageRunFieldSet])])


def field_set(runner: RuleRunner, fields: str) -> GoOciImageRunFieldSet:
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                "go_oci_image(name='image', binary=':server', base_image='scratch', "
                f"kodata='assets', {fields})\n"
            ),
            "app/server.bin": elf(MACHINES[HERE]),
            "app/assets/a": "a",
        }
    )
    return GoOciImageRunFieldSet.create(runner.get_target(Address("app", target_name="image")))


def request(
    runner: RuleRunner, fields: str, *options: str, path: str = "/usr/bin:/bin"
) -> RunRequest:
    configure(runner, *options, PATH=path)
    return runner.request(RunRequest, [field_set(runner, fields)])


def written(runner: RuleRunner, request: RunRequest, place: str) -> Path:
    """The sandbox of a request."""
    runner.scheduler.write_digest(request.digest, path_prefix=place)
    return Path(runner.build_root) / place


def test_the_program_itself(engine: RuleRunner) -> None:
    found = request(
        engine,
        f"platforms=['{HERE}'], image_env=['A=b'], entrypoint_args=['--first']",
        "--ko-run-with=executable",
    )
    assert found.args == ("{chroot}/ko-app/server.bin", "--first")
    assert dict(found.extra_env) == {"A": "b", "KO_DATA_PATH": "{chroot}/kodata"}
    sandbox = written(engine, found, "executable")
    assert os.access(sandbox / "ko-app" / "server.bin", os.X_OK)
    assert (sandbox / "kodata" / "a").read_text() == "a"


def test_the_program_of_an_image_for_other_machines(engine: RuleRunner) -> None:
    found = request(engine, f"platforms=['{OTHER}']", "--ko-run-with=executable")
    assert found.args == ("{chroot}/ko-app/server.bin",)


def test_without_an_engine_the_program_is_run(engine: RuleRunner, tmp_path: Path) -> None:
    found = request(engine, f"platforms=['{HERE}']", path=str(tmp_path))
    assert found.args == ("{chroot}/ko-app/server.bin",)


def test_a_container(engine: RuleRunner, tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "  image) exit 1 ;;\n"
        '  load) cp "$3" "${0%/*}/loaded.tar" ;;\n'
        '  run) printf "%s\\n" "$@"; exit 3 ;;\n'
        "esac\n"
    )
    (tmp_path / "docker").chmod(0o755)
    found = request(
        engine,
        f"platforms=['{OTHER}', '{HERE}'], extra_run_args=['--net=none'], image_tags=['v1', 'v2']",
        "--ko-run-with=docker",
        "--ko-run-args=-p=80:80",
        path=f"{tmp_path}:/usr/bin:/bin",
    )
    sandbox = written(engine, found, "container")
    argv = [word.replace("{chroot}", str(sandbox)) for word in found.args]
    done = subprocess.run(
        [*argv, "--flag", "a b"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    words = ["run", "--rm", "--pull=never", "-i", "-p=80:80", "--net=none", "ko.local/image:v1"]
    assert done.stdout.splitlines() == [*words, "--flag", "a b"]
    with tarfile.open(tmp_path / "loaded.tar") as tar:
        (image,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(tar.extractfile(image["Config"]))  # type: ignore[arg-type]
    assert image["RepoTags"][0] == "ko.local/image:v1"
    assert len(image["RepoTags"][1]) == len("ko.local/image:") + 64
    assert f"{config['os']}/{config['architecture']}" == HERE


def test_the_name_of_an_image_is_that_of_its_registry(engine: RuleRunner, tmp_path: Path) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\n")
    (tmp_path / "podman").chmod(0o755)
    for alias, name in ((False, "r.example.com/image:latest"), (True, "prod/image:latest")):
        prod = {"address": "r.example.com", "use_local_alias": alias}
        found = request(
            engine,
            f"platforms=['{HERE}'], registries=['@prod']",
            "--ko-run-with=podman",
            f"--ko-registries={ {'prod': prod} }",
            path=str(tmp_path),
        )
        assert found.args[-1] == name


def test_an_image_for_other_machines_only(engine: RuleRunner, tmp_path: Path) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\n")
    (tmp_path / "podman").chmod(0o755)
    configure(engine, PATH=str(tmp_path))
    text = error_of(engine, RunRequest, [field_set(engine, f"platforms=['{OTHER}']")])
    for word in ("app:image", HERE, OTHER, "`platforms`", "--ko-run-with=executable"):
        assert word in text


def test_an_engine_that_is_not_installed(engine: RuleRunner, tmp_path: Path) -> None:
    configure(engine, "--ko-run-with=docker", PATH=str(tmp_path))
    text = error_of(engine, RunRequest, [field_set(engine, f"platforms=['{HERE}']")])
    assert text.startswith("option [ko].run_with is 'docker', and PATH has no `docker`")
