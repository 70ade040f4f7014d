"""What a user reads if a `docker_environment` has no container."""

from __future__ import annotations

import pytest
from pants.engine.internals.native_engine import ProcessExecutionEnvironment

from ko_pants.errors import KoPantsError
from ko_pants.local_execution import local_execution
from ko_pants.rules.containers import check_container, container_problem

BOX = ProcessExecutionEnvironment(
    environment_name="box",
    platform="linux_x86_64",
    docker_image="localhost/go:1",
    remote_execution=False,
    remote_execution_extra_platform_properties=[],
)
# As Pants 2.17 says it of podman 4.3 without an init.
NO_INIT = Exception(
    "Failed to create Docker container: DockerResponseServerError { status_code: 500, "
    'message: "container create: container-init binary not found on the host" }'
)


def test_the_container_of_a_process() -> None:
    with pytest.raises(KoPantsError) as raised:
        check_container("Compile example.com/a", BOX, NO_INIT)
    text = str(raised.value)
    assert text.startswith(
        "Compile example.com/a: no container of the image localhost/go:1 (field `image` of the "
        "`docker_environment`): Failed to create Docker container: "
    )
    assert text.endswith("at $DOCKER_HOST, else at /var/run/docker.sock")


def test_other_errors_and_other_places_are_left_alone() -> None:
    check_container("Compile", BOX, Exception("the remote cache lacks a blob"))
    check_container("Compile", local_execution(), NO_INIT)
    check_container("Compile", None, NO_INIT)
    assert container_problem(Exception("the remote cache lacks a blob")) == ""
