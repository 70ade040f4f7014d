"""From manifests to the stream in which references name images by digest."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Mapping

from pants.engine.addresses import Address, Addresses
from pants.engine.target import HydrateSourcesRequest

from ko_pants.engine import hydrate_sources, manifests, publish_plans, targets_at
from ko_pants.errors import KoPantsError
from ko_pants.kubernetes.streams import resolved_stream
from ko_pants.oci.image import Image
from ko_pants.products import Manifests, ManifestsRequest, PublishPlan, PublishPlanRequest
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.image_refs import destination_to_deploy, image_references
from ko_pants.rules.image_names import destinations_of, image_names
from ko_pants.rules.local_loader import image_to_load, local_loader
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet, KubernetesManifestsFieldSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ManifestsPlan:
    """Manifests as they are to be written.

    :param registry: the address of the registry that references name; empty for any.
    :param plans: of the images, sorted by address.
    :param content: with the digests that are planned. An upload can show that others are right.
    """

    manifests: Manifests
    registry: str
    plans: tuple[PublishPlan, ...]
    content: bytes


async def manifests_of(field_set: KubernetesManifestsFieldSet) -> Manifests:
    """The manifests of a target.

    :raises KoPantsError: see `find_manifests`.
    """
    sources = await hydrate_sources(HydrateSourcesRequest(field_set.sources))
    address = field_set.address
    return await manifests(
        ManifestsRequest(
            str(address), address, sources.snapshot.digest, field_set.selector.value or ""
        )
    )


async def check_destinations(
    found: Manifests, registry: str, settings: Settings, outside: GoEnvironment
) -> None:
    """Look where the images go, without a build.

    :param registry: an address or alias; empty for any.
    :raises KoPantsError: an image cannot be deployed.
    """
    registry = _registry_address(found.owner, registry, settings)
    for target in await targets_at(Addresses(sorted(set(found.images.values())))):
        names = await image_names(GoOciImageFieldSet.create(target), outside, settings)
        _destination(found.owner, names.target, destinations_of(names, settings), registry)


async def plan_manifests(
    found: Manifests, registry: str, settings: Settings, outside: GoEnvironment
) -> ManifestsPlan:
    """Build the images, and replace the references. Nothing is pushed.

    :param registry: an address or alias; empty for any.
    :raises KoPantsError: something is wrong with an image, or it cannot be deployed; the latter is
        found before anything is compiled.
    """
    await check_destinations(found, registry, settings, outside)
    registry = _registry_address(found.owner, registry, settings)
    addresses = sorted(set(found.images.values()))
    plans = await publish_plans(PublishPlanRequest(address) for address in addresses)
    images: dict[Address, Image] = {}
    for plan in plans:
        built = plan.built
        local = await local_loader(plan.destinations, settings)
        if local is not None:
            built = image_to_load(built, local[1])
        images[plan.field_set.address] = built.image
    stream = manifests_stream(found, plans, images, registry, settings)
    return ManifestsPlan(found, registry, plans, stream)


def manifests_stream(
    found: Manifests,
    plans: tuple[PublishPlan, ...],
    images: Mapping[Address, Image],
    registry: str,
    settings: Settings,
) -> bytes:
    """The stream with the references of `images`."""
    references = {}
    for plan in plans:
        address = plan.field_set.address
        where = _destination(found.owner, str(address), plan.destinations, registry)
        references[address] = image_references(images[address], where, tag_only=settings.tag_only)[
            0
        ]
    names = {value: references[address] for value, address in found.images.items()}
    return resolved_stream(found.files, names).encode()


def warn_of_templates(found: Manifests) -> None:
    """Name the files in which nothing is replaced."""
    for file in found.files:
        if file.is_template:
            logger.warning(
                "%s: %s is no YAML and has {{ }} in it, so it is taken for a template and left as "
                "it is: ko:// and pants:// in it stay, and no image is built for them. Resolve "
                "what the template renders, or leave the file out of `sources`",
                found.owner,
                file.path,
            )


def _destination(
    owner: str, target: str, destinations: tuple[Destination, ...], registry: str
) -> Destination:
    try:
        return destination_to_deploy(target, destinations, registry)
    except KoPantsError as e:
        raise KoPantsError(f"{owner}: {e}") from None


def _registry_address(owner: str, registry: str, settings: Settings) -> str:
    """The address of a registry that is given by address or alias.

    :raises KoPantsError: there is no such alias.
    """
    if not registry.startswith("@"):
        return registry
    by_alias = {f"@{r.alias}": r.address for r in settings.registries}
    if registry not in by_alias:
        known = ", ".join(by_alias) or "none"
        raise KoPantsError(
            f"{owner}, field `registry`: there is no registry {registry}; [ko].registries has "
            f"{known}"
        )
    return by_alias[registry]
