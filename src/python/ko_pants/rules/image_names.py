"""Where the image of a target is published, as its fields and the options say."""

from __future__ import annotations

from typing import Protocol

from pants.engine.addresses import Address

from ko_pants.publishing.destinations import (
    Destination,
    ImageNames,
    destinations,
)
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


def destinations_of(field_set: NamingFieldSet, settings: Settings) -> tuple[Destination, ...]:
    """The destinations of a target.

    :raises KoPantsError: a name is malformed; the text names target and field, or the option.
    """
    address = field_set.address
    return destinations(
        ImageNames(
            target=str(address),
            name=address.generated_name or address.target_name,
            path=address.spec_path,
            repository=field_set.repository.value or "",
            registries=field_set.registries.value or (),
            tags=field_set.tags.value or (),
            skip_push=field_set.skip_push.value,
        ),
        settings.registries,
        default_repository=settings.default_repository,
        docker_repo=settings.docker_repo,
        layout=settings.layout_path,
    )
