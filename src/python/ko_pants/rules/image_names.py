"""Where the image of a target is published, as its fields and the options say."""

from __future__ import annotations

from dataclasses import replace
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
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.rules.template_values import filled_tags
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


async def image_names(
    field_set: NamingFieldSet, outside: GoEnvironment, settings: Settings
) -> ImageNames:
    """What a target says of its names, with the templates (`{{.Git.Tag}}`) of its tags filled in.

    :raises KoPantsError: a template that cannot be filled in; the text names target and field.
    """
    address = field_set.address
    tags = await filled_tags(str(address), field_set.tags.value or (), outside, settings)
    return ImageNames(
        target=str(address),
        name=address.generated_name or address.target_name,
        path=address.spec_path,
        repository=field_set.repository.value or "",
        registries=field_set.registries.value or (),
        tags=tags,
        skip_push=field_set.skip_push.value,
    )


def names_need_built(names: ImageNames, settings: Settings) -> bool:
    """True if the names of a target are known only when its image is built.

    :raises KoPantsError: an alias that does not exist.
    """
    return needs_built_facts(names, settings.registries, settings.default_repository)


def destinations_of(
    names: ImageNames,
    settings: Settings,
    built: BuiltImage | None = None,
    import_path: str = "",
) -> tuple[Destination, ...]:
    """The destinations of a target.

    :param built: its image. Without it the names are those of an example where `names_need_built`;
        they show mistakes before anything is compiled.
    :param import_path: of its program, where that is known and the image is not built.
    :raises KoPantsError: a name is malformed; the text names target and field, or the option.
    """
    found = destinations(
        names,
        settings.registries,
        default_repository=settings.default_repository,
        docker_repo=settings.docker_repo,
        layout=settings.layout_path,
        facts=_example(import_path) if built is None else _facts(built),
    )
    if settings.tag_only:
        check_tag_only(names.target, found)
    return found


def _example(import_path: str) -> BuiltFacts:
    return replace(EXAMPLE_FACTS, import_path=import_path) if import_path else EXAMPLE_FACTS


def _facts(built: BuiltImage) -> BuiltFacts:
    program = built.platforms[0].executables[0]
    return BuiltFacts(
        program.import_path if program.compiled else "",
        content_hash(tuple(m.config_descriptor.digest for m in built.image.manifests)),
    )
