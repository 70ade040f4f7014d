"""Containers of a `docker_environment` that Pants cannot have."""

from __future__ import annotations

from pants.engine.internals.native_engine import ProcessExecutionEnvironment

from ko_pants.errors import KoPantsError

_WHERE = (
    "Pants looks for Docker, or for the Docker API of `podman system service`, at $DOCKER_HOST, "
    "else at /var/run/docker.sock"
)


def container_problem(error: BaseException) -> str:
    """What keeps Pants from having a container, and where it looks; empty for another error."""
    said = " ".join(str(error).split())
    return f"{said}. {_WHERE}" if "Docker" in said else ""


def check_container(
    description: str, execution: ProcessExecutionEnvironment | None, error: BaseException
) -> None:
    """Make sure that a process failed for another reason than its container.

    :param description: of the process that failed with `error`.
    :raises KoPantsError: Pants cannot reach Docker, or Docker cannot run the image.
    """
    if execution is None or not execution.docker_image:
        return
    problem = container_problem(error)
    if problem:
        raise KoPantsError(
            f"{description}: no container of the image {execution.docker_image} (field `image` of "
            f"the `docker_environment`): {problem}"
        ) from None
