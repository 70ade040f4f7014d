"""From a target's fields and the options to the repositories and tags of its image.

The fields mean what they mean in Pants' docker backend (`repository`, `image_tags`, `skip_push`);
`KO_DOCKER_REPO` is ko's. Pure functions.
"""

from __future__ import annotations

import functools
import string
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import Reference, check_registry, check_repository, check_tag
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
    """

    repository: str
    tags: tuple[str, ...]
    registry: str = ""
    layout: str = ""
    skip: str = ""

    # These are kept, because every run of a daemon asks for them again.
    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Every reference, as skopeo and others take it."""
        return tuple(self.name(tag) for tag in self.tags)

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


def destinations(
    names: ImageNames,
    registries: Sequence[Registry],
    *,
    default_repository: str,
    docker_repo: str,
    layout: str,
) -> tuple[Destination, ...]:
    """Where a target's image goes, in the order of its field `registries`.

    :param docker_repo: `KO_DOCKER_REPO`, for targets without a registry.
    :param layout: the directory of the OCI layout, where there is no `docker_repo` either.
    :raises KoPantsError: unknown alias, malformed repository, tag or registry.
    """
    chosen = chosen_registries(names.target, names.registries, registries)
    out: list[Destination] = []
    for registry in chosen:
        repository = _repository(names, registry.repository, default_repository)
        tags = _tags(names, (*names.tags, *registry.extra_image_tags))
        try:
            check_registry(registry.address, f"{registry.address}/{repository}")
        except KoPantsError as e:
            raise KoPantsError(f"{names.target}, field `registries`: {e}") from None
        skip = ""
        if names.skip_push:
            skip = f"by `skip_push` on {names.target}"
        elif registry.skip_push:
            skip = f"by `skip_push` on registry @{registry.alias}"
        out.append(Destination(repository, tags, registry=registry.address, skip=skip))
    if out:
        return tuple(out)
    repository = _repository(names, "", default_repository)
    tags = _tags(names, names.tags)
    skip = f"by `skip_push` on {names.target}" if names.skip_push else ""
    if docker_repo:
        return (_in_docker_repo(docker_repo, repository, tags, skip),)
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


def _in_docker_repo(
    docker_repo: str, repository: str, tags: tuple[str, ...], skip: str
) -> Destination:
    head, _, path = docker_repo.rstrip("/").partition("/")
    where = "KO_DOCKER_REPO (or option [ko].docker_repo)"
    if docker_repo in ("ko.local", "kind.local"):
        raise KoPantsError(
            f"{where} is {docker_repo!r}: ko_pants uses no Docker daemon; expected a registry such "
            "as registry.example.com/team, or nothing for an OCI layout in dist/"
        )
    if not ("." in head or ":" in head or head == "localhost"):
        # As ko: no host means Docker Hub.
        head, path = "index.docker.io", docker_repo.rstrip("/")
    full = f"{path}/{repository}" if path else repository
    try:
        check_registry(head, docker_repo)
        check_repository(full, f"{docker_repo}/{repository}")
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
    return Destination(full, tags, registry=head, skip=skip)


def _repository(names: ImageNames, of_registry: str, default_repository: str) -> str:
    directories = names.path.split("/") if names.path else [names.name]
    fields = {
        "name": names.name,
        "directory": directories[-1],
        "parent_directory": directories[-2] if len(directories) > 1 else "",
        "path": names.path or names.name,
        "target_repository": names.repository,
    }
    fields["default_repository"] = _fill(
        default_repository, fields, f"option [ko].default_repository for {names.target}"
    )
    template = of_registry or names.repository or default_repository
    where = (
        f"{names.target}, repository of [ko].registries"
        if of_registry
        else f"{names.target}, field `repository`"
        if names.repository
        else f"option [ko].default_repository for {names.target}"
    )
    repository = _fill(template, fields, where).strip("/").lower()
    try:
        check_repository(repository, repository)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
    return repository


def _fill(template: str, fields: Mapping[str, str], where: str) -> str:
    try:
        return "".join(
            literal + (fields[field] if field is not None else "")
            for literal, field, _, _ in string.Formatter().parse(template)
        )
    except (KeyError, ValueError):
        raise KoPantsError(
            f"{where}: {template!r} has an unknown placeholder; expected some of "
            + ", ".join(f"{{{name}}}" for name in fields)
        ) from None


def _tags(names: ImageNames, tags: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(tags))
    if not unique:
        raise KoPantsError(f"{names.target}, field `image_tags`: expected at least one tag")
    for tag in unique:
        try:
            check_tag(tag, f"...:{tag}")
        except KoPantsError as e:
            raise KoPantsError(f"{names.target}, field `image_tags`: {e}") from None
    return unique
