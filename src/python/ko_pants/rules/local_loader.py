"""What loads images where `KO_DOCKER_REPO` is `ko.local` or `kind.local`, and which platform."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Sequence

from pants.engine.env_vars import EnvironmentVarsRequest

from ko_pants.engine import environment_vars
from ko_pants.errors import KoPantsError
from ko_pants.oci.image import Image
from ko_pants.oci.platform import Platform
from ko_pants.products import BuiltImage
from ko_pants.publishing.container_engines import (
    ENGINE_VARIABLES,
    ContainerEngine,
    find_engine,
    machine_platform,
    platform_to_run,
)
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import Loader
from ko_pants.publishing.registries import KIND_LOCAL, LOCAL_DOMAINS
from ko_pants.rules.settings import Settings

# What docker, podman and kind read; they get nothing else of the environment.
_VARIABLES = (
    *ENGINE_VARIABLES,
    *("DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"),
    *("CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR", "USER"),
    *("KIND_EXPERIMENTAL_PROVIDER", "KUBECONFIG"),
)
_CHOICES = ("KIND_CLUSTER_NAME", "GOOS", "GOARCH")


async def local_loader(
    destinations: Sequence[Destination], settings: Settings
) -> tuple[Loader, Platform] | None:
    """What loads the images, and the platform that it wants; None if nothing is to be loaded.

    The platform is linux and the architecture of this machine, or `GOOS/GOARCH`, as in ko.

    :raises KoPantsError: neither docker nor podman, or no kind, is installed.
    """
    domains = (d.registry for d in destinations if not d.skip)
    domain = next((domain for domain in domains if domain in LOCAL_DOMAINS), "")
    if not domain:
        return None
    env = await environment_vars(EnvironmentVarsRequest((*_VARIABLES, *_CHOICES)))
    if domain == KIND_LOCAL:
        path = shutil.which("kind", path=env.get("PATH", os.defpath))
        engine = ContainerEngine("kind", path) if path else None
        wanted = "`kind`"
    else:
        engine = find_engine(settings.load_with, env, "option [ko].load_with", executable=False)
        wanted = "`docker` or `podman`"
    if engine is None:
        raise KoPantsError(
            f"KO_DOCKER_REPO (or option [ko].docker_repo) is in {domain}, and PATH has no {wanted} "
            "to load images with; install it, or expected a registry such as "
            "registry.example.com/team"
        )
    machine = machine_platform("linux")
    if env.get("GOOS") or env.get("GOARCH"):
        machine = Platform.parse(
            f"{env.get('GOOS') or 'linux'}/{env.get('GOARCH') or machine.architecture}"
        )
    passed = {name: env[name] for name in _VARIABLES if name in env}
    return Loader(engine, passed, env.get("KIND_CLUSTER_NAME", "")), machine


def image_to_load(built: BuiltImage, machine: Platform) -> BuiltImage:
    """The image of the one platform that is loaded.

    :raises KoPantsError: the image does not have it; the text names the target.
    """
    platforms = [manifest.platform for manifest in built.image.manifests]
    platform = platform_to_run(platforms, machine)
    if platform is None:
        raise KoPantsError(
            f"{built.owner}: the platform of this machine is {machine}, and the image is for "
            f"{', '.join(map(str, platforms))}; add {machine} to its field `platforms`, or set "
            "GOARCH, as in ko, to load another one"
        )
    position = platforms.index(platform)
    manifest = built.image.manifests[position]
    return replace(
        built,
        base=replace(built.base, manifests=(built.base.manifests[position],)),
        platforms=(built.platforms[position],),
        image=Image((manifest,), b"", manifest.descriptor),
    )
