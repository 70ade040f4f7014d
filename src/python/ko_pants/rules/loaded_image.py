"""An image in docker or podman on this machine, as `docker_image` has it after `package`."""

from __future__ import annotations

from typing import Sequence

from pants.engine.process import Process, ProcessCacheScope
from pants.util.logging import LogLevel

from ko_pants.engine import run_process
from ko_pants.errors import KoPantsError
from ko_pants.oci.archives import docker_archive_files
from ko_pants.products import BuiltImage
from ko_pants.publishing.container_engines import LOAD_IMAGE
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import digest_tag
from ko_pants.publishing.registries import KO_LOCAL
from ko_pants.rules.image_archive import write_archive
from ko_pants.rules.local_loader import image_to_load, loader_of
from ko_pants.rules.settings import Settings


async def load_image(
    built: BuiltImage, destinations: Sequence[Destination], settings: Settings
) -> tuple[str, ...]:
    """Load the platform of this machine, unless it is there.

    :param built: its bytes are in the engine's store.
    :returns: the names of the image; no other image has the first.
    :raises KoPantsError: there is no engine, or it fails (its own message).
    """
    where = f"{built.owner}: `loaded` of `package_formats` is wanted"
    loader, machine = await loader_of(KO_LOCAL, where, settings)
    loaded = image_to_load(built, machine)
    (manifest,) = loaded.image.manifests
    names = [
        f"{place}/{d.repository}:{tag}"
        for d in destinations
        for place in [d.local_alias or d.registry or KO_LOCAL]
        for tag in d.tags
    ]
    unique = f"{names[0].rpartition(':')[0]}:{digest_tag(manifest.descriptor.digest)}"
    names = list(dict.fromkeys([unique, *names]))
    archive = await write_archive(
        built.owner, "docker.tar", docker_archive_files(manifest, tuple(names))
    )
    result = await run_process(
        Process(
            (
                "/bin/sh",
                "-c",
                LOAD_IMAGE,
                "ko-load",
                loader.engine.path,
                "docker.tar",
                names[-1],
                unique,
            ),
            input_digest=archive,
            env=loader.env,
            description=f"Load {built.owner} with {loader.engine.name}",
            level=LogLevel.INFO,
            cache_scope=ProcessCacheScope.PER_SESSION,
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{built.owner}: {loader.engine.name} cannot load it: "
            + result.stderr.decode("utf-8", "replace").strip()
        )
    return tuple(names)
