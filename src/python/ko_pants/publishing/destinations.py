"""From a target's fields and the options to the repositories and tags of its image.

The fields mean what they mean in Pants' docker backend (`repository`, `image_tags`, `skip_push`);
`KO_DOCKER_REPO` is ko's. Pure functions.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable, Iterable, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.golang.templates import fill_template
from ko_pants.oci.reference import (
    DOCKER_HUB,
    Reference,
    check_registry,
    check_repository,
    check_tag,
)
from ko_pants.publishing.placeholders import (
    EXAMPLE_FACTS,
    PLACEHOLDERS_OF_BUILT,
    BuiltFacts,
    built_values,
    fill,
    needs_built,
    path_values,
)
from ko_pants.publishing.registries import Registry, chosen_registries


@dataclass(frozen=True)
class ImageNames:
    """What a target says of its names, placeholders not yet filled in.

    :param target: its address, for messages.
    :param name: the target's name; `path` the directory of its BUILD file.
    """

    target: str
    name: str
    path: str
    repository: str
    registries: tuple[str, ...]
    tags: tuple[str, ...]
    skip_push: bool = False


@dataclass(frozen=True)
class Destination:
    """One repository, on a registry or in a layout on disk (`registry` empty), and its tags.

    :param layout: directory of the layout as the user knows it.
    :param skip: why nothing is to be pushed; empty if it is.
    :param local_alias: what stands for the registry in names on this machine (`use_local_alias`).
    """

    repository: str
    tags: tuple[str, ...]
    registry: str = ""
    layout: str = ""
    skip: str = ""
    local_alias: str = ""

    # These are kept, because every run of a daemon asks for them again.
    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Every reference, as skopeo and others take it."""
        return tuple(self.name(tag) for tag in self.tags)

    @property
    def local_names(self) -> tuple[str, ...]:
        """What the image is called on this machine: by its registry, and then by the alias."""
        places = [self.registry, self.local_alias] if self.local_alias else [self.registry]
        repositories = [f"{p}/{self.repository}" if p else self.repository for p in places]
        return tuple(f"{repository}:{tag}" for repository in repositories for tag in self.tags)

    def name(self, tag: str) -> str:
        """The reference with one tag."""
        if self.layout:
            return f"oci:{self.layout}:{self.repository}:{tag}"
        return f"{self.registry}/{self.repository}:{tag}"

    @functools.cached_property
    def repository_name(self) -> str:
        """Registry or layout, and repository."""
        return f"{self.layout or self.registry}/{self.repository}"

    @functools.cached_property
    def reference(self) -> Reference:
        """The bare repository, for the registry client."""
        return Reference(self.registry, self.repository)


def needs_built_facts(
    names: ImageNames, registries: Sequence[Registry], default_repository: str
) -> bool:
    """True if a name of the target has a placeholder whose value the built image gives."""
    templates = [names.repository or default_repository, *names.tags]
    for registry in chosen_registries(names.target, names.registries, registries):
        templates += [registry.repository, default_repository, *registry.extra_image_tags]
    return any(map(needs_built, templates))


def destinations(
    names: ImageNames,
    registries: Sequence[Registry],
    *,
    default_repository: str,
    docker_repo: str,
    layout: str,
    facts: BuiltFacts = EXAMPLE_FACTS,
) -> tuple[Destination, ...]:
    """Where a target's image goes, in the order of its field `registries`.

    :param default_repository: the template for targets without `repository`; empty if such a target
        is named by `docker_repo` alone.
    :param docker_repo: `KO_DOCKER_REPO`, for targets without a registry.
    :param layout: the directory of the OCI layout, where there is no `docker_repo` either.
    :param facts: of the built image. Without them the names are only checked, unless
        `needs_built_facts` says that they do not matter.
    :raises KoPantsError: unknown alias, malformed repository, tag or registry.
    """
    of_target = _TemplatesOfTarget(names, default_repository, facts)
    out: list[Destination] = []
    for registry in chosen_registries(names.target, names.registries, registries):
        repository = of_target.repository(registry)
        if not repository:
            raise KoPantsError(_nameless(names.target, f"the registry {registry.address}"))
        tags = of_target.tags(registry)
        try:
            check_registry(registry.address, f"{registry.address}/{repository}")
        except KoPantsError as e:
            raise KoPantsError(f"{names.target}, field `registries`: {e}") from None
        skip = ""
        if names.skip_push:
            skip = f"by `skip_push` on {names.target}"
        elif registry.skip_push:
            skip = f"by `skip_push` on registry @{registry.alias}"
        alias = registry.alias if registry.use_local_alias else ""
        out.append(
            Destination(repository, tags, registry=registry.address, skip=skip, local_alias=alias)
        )
    if out:
        return tuple(out)
    repository, tags = of_target.repository(None), of_target.tags(None)
    skip = f"by `skip_push` on {names.target}" if names.skip_push else ""
    if docker_repo:
        return (_in_docker_repo(docker_repo, repository, tags, skip),)
    if not repository:
        raise KoPantsError(_nameless(names.target, f"the OCI layout {layout}"))
    return (Destination(repository, tags, layout=layout, skip=skip),)


def check_distinct(seen: dict[str, str], target: str, destination: Destination) -> None:
    """Note a target's references in `seen` (reference -> target).

    :raises KoPantsError: another target has one of them already; names both.
    """
    for name in destination.names:
        other = seen.setdefault(name, target)
        if other != target:
            first, second = sorted((other, target))
            raise KoPantsError(
                f"{first} and {second} are both published as {name}. Give one of them another "
                "`repository` or `image_tags`, or use a placeholder such as `{path}` in "
                "[ko].default_repository"
            )


def check_repository_template(template: str, where: str) -> None:
    """Make sure that a field `repository` can become a repository, whatever fills it in.

    :param where: target and field, for messages.
    :raises KoPantsError: an unknown placeholder, or characters that no repository has.
    """
    filled = fill(template, _examples("default_repository"), where)
    repository = filled.strip("/").lower()
    try:
        check_repository(repository, repository)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def check_tag_templates(templates: Iterable[str], where: str) -> None:
    """Make sure that tags can become tags, whatever fills in their placeholders and templates.

    :param where: target and field, for messages.
    :raises KoPantsError: an unknown placeholder or template, or characters that no tag has.
    """
    values = _examples("default_repository", "target_repository")
    try:
        for template in templates:
            tag = fill(fill_template(template, lambda _: "x"), values, where)
            check_tag(tag, f"...:{tag}")
    except KoPantsError as e:
        text = str(e)
        raise KoPantsError(text if text.startswith(where) else f"{where}: {text}") from None


def _examples(*more: str) -> dict[str, Callable[[], str]]:
    """Something for each placeholder, so that only the text around them matters."""
    names = (*path_values("x", "x"), *PLACEHOLDERS_OF_BUILT, *more)
    return dict.fromkeys(names, lambda: "x")


def _in_docker_repo(
    docker_repo: str, repository: str, tags: tuple[str, ...], skip: str
) -> Destination:
    head, _, path = docker_repo.rstrip("/").partition("/")
    where = "KO_DOCKER_REPO (or option [ko].docker_repo)"
    if not ("." in head or ":" in head or head == "localhost"):
        # As ko: no host means Docker Hub.
        head, path = DOCKER_HUB, docker_repo.rstrip("/")
        if not repository and "/" not in path:
            path = f"library/{path}"
    full = "/".join(part for part in (path, repository) if part)
    try:
        check_registry(head, docker_repo)
        if not full:
            raise KoPantsError(
                f"{docker_repo!r} is a registry without a repository, and option [ko].naming is "
                "`bare`, which adds none; expected for example registry.example.com/team/app"
            )
        check_repository(full, full if not repository else f"{docker_repo}/{repository}")
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
    return Destination(full, tags, registry=head, skip=skip)


class _TemplatesOfTarget:
    """Fills in the templates of one target."""

    def __init__(self, names: ImageNames, default_repository: str, facts: BuiltFacts) -> None:
        self._names = names
        self._default = default_repository
        self._values = {
            **path_values(names.name, names.path),
            "default_repository": self._default_repository,
            "target_repository": self._target_repository,
            **built_values(names.target, facts),
        }
        # What a repository itself is made of may not have it as a placeholder.
        self._values_of_default = self._without("default_repository", "target_repository")
        self._values_of_target = self._without("target_repository")

    def _without(self, *names: str) -> dict[str, Callable[[], str]]:
        return {name: value for name, value in self._values.items() if name not in names}

    def _default_repository(self) -> str:
        where = f"option [ko].default_repository for {self._names.target}"
        return fill(self._default, self._values_of_default, where)

    def _target_repository(self) -> str:
        if not self._names.repository:
            return self._default_repository()
        where = f"{self._names.target}, field `repository`"
        return fill(self._names.repository, self._values_of_target, where)

    def repository(self, registry: Registry | None) -> str:
        """The repository, in lower case; empty if only `KO_DOCKER_REPO` names the image."""
        if registry is not None and registry.repository:
            where = f"{self._names.target}, repository of [ko].registries"
            filled = fill(registry.repository, self._values, where)
        elif self._names.repository:
            where = f"{self._names.target}, field `repository`"
            filled = self._target_repository()
        else:
            where = f"option [ko].default_repository for {self._names.target}"
            filled = self._default_repository()
            if not self._default:
                return ""
        repository = filled.strip("/").lower()
        try:
            check_repository(repository, repository)
        except KoPantsError as e:
            raise KoPantsError(f"{where}: {e}") from None
        return repository

    def tags(self, registry: Registry | None) -> tuple[str, ...]:
        """The tags of the target and of the registry, each once."""
        where = f"{self._names.target}, field `image_tags`"
        if not self._names.tags and (registry is None or not registry.extra_image_tags):
            raise KoPantsError(f"{where}: expected at least one tag")
        tags = self._filled(self._names.tags, where)
        if registry is not None:
            tags += self._filled(
                registry.extra_image_tags,
                f"{self._names.target}, extra_image_tags of registry @{registry.alias}",
            )
        return tuple(dict.fromkeys(tags))

    def _filled(self, templates: Iterable[str], where: str) -> list[str]:
        tags = [fill(template, self._values, where) for template in templates]
        for tag in tags:
            try:
                check_tag(tag, f"...:{tag}")
            except KoPantsError as e:
                raise KoPantsError(f"{where}: {e}") from None
        return tags


def _nameless(target: str, place: str) -> str:
    return (
        f"{target}: option [ko].naming is `bare`, so KO_DOCKER_REPO (or option [ko].docker_repo) "
        f"alone names the image, and it goes to {place}; give the target or the registry a "
        "`repository`, or choose another naming"
    )
