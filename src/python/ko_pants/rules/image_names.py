"""Where the image of a target is published, as its fields and the options say."""

from __future__ import annotations

from typing import Protocol

from pants.engine.addresses import Address

from ko_pants.products import BuiltImage
from ko_pants.publishing.destinations import (
    Destination,
    ImageNames,
    destinations,
    needs_built_facts,
)
from ko_pants.publishing.image_refs import check_tag_only
from ko_pants.publishing.placeholders import EXAMPLE_FACTS, BuiltFacts, content_hash
from ko_pants.rules.settings import Settings
from ko_pants.target_types import (
    GoOciImageRegistriesField,
    GoOciImageRepositoryField,
    GoOciImageSkipPushField,
    GoOciImageTagsField,
)


class NamingFieldSet(Protocol):
    """The fields that name an image: those of the package and of the publish field set."""

    @property
    def address(self) -> Address: ...
    @property
    def repository(self) -> GoOciImageRepositoryField: ...
    @property
    def registries(self) -> GoOciImageRegistriesField: ...
    @property
    def tags(self) -> GoOciImageTagsField: ...
    @property
    def skip_push(self) -> GoOciImageSkipPushField: ...


def _names(field_set: NamingFieldSet) -> ImageNames:
    address = field_set.address
    return ImageNames(
        target=str(address),
        name=address.generated_name or address.target_name,
        path=address.spec_path,
        repository=field_set.repository.value or "",
        registries=field_set.registries.value or (),
        tags=field_set.tags.value or (),
        skip_push=field_set.skip_push.value,
    )


def names_need_built(field_set: NamingFieldSet, settings: Settings) -> bool:
    """True if the names of a target are known only when its image is built.

    :raises KoPantsError: an alias that does not exist.
    """
    return needs_built_facts(_names(field_set), settings.registries, settings.default_repository)


def destinations_of(
    field_set: NamingFieldSet, settings: Settings, built: BuiltImage | None = None
) -> tuple[Destination, ...]:
    """The destinations of a target.

    :param built: its image. Without it the names are those of an example where `names_need_built`;
        they show mistakes before anything is compiled.
    :raises KoPantsError: a name is malformed; the text names target and field, or the option.
    """
    names = _names(field_set)
    found = destinations(
        names,
        settings.registries,
        default_repository=settings.default_repository,
        docker_repo=settings.docker_repo,
        layout=settings.layout_path,
        facts=EXAMPLE_FACTS if built is None else _facts(built),
    )
    if settings.tag_only:
        check_tag_only(names.target, found)
    return found


def _facts(built: BuiltImage) -> BuiltFacts:
    program = built.platforms[0].executables[0]
    return BuiltFacts(
        program.import_path if program.compiled else "",
        content_hash(tuple(m.config_descriptor.digest for m in built.image.manifests)),
    )
