"""Options of `run`, and of loading images into an engine."""

from __future__ import annotations

from pants.option.option_types import StrListOption, StrOption


class ContainerOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    run_with = StrOption(
        default="auto",
        help=(
            "What `run` runs an image with: `docker`, `podman`, `executable` (the program of this "
            "platform without a container), or `auto`. `auto` means docker if it has a daemon "
            "here, else podman, else docker, whichever is on the PATH; `executable` if none is."
        ),
    )
    run_args = StrListOption(
        default=[],
        help=(
            "Arguments of `docker run` or `podman run` for `run`, beside `--rm`, `-i` and, on a "
            "terminal, `-t`. Example: `['--network=host']`."
        ),
    )
    load_with = StrOption(
        default="auto",
        help=(
            "What images are loaded with where `$KO_DOCKER_REPO` is `ko.local`: `docker`, `podman` "
            "or `auto`, as for `run_with`."
        ),
    )
