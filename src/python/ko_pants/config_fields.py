"""Fields of `go_oci_image` that say how its containers are run, and what its manifests say of it.

Each value is checked when the target is made: what is wrong names target, field and value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Optional, Sequence

from pants.core.goals.package import PackageFieldSet
from pants.engine.addresses import Address
from pants.engine.target import (
    DictStringToStringField,
    StringField,
    StringSequenceField,
)
from pants.util.frozendict import FrozenDict

from ko_pants.build_fields import TEMPLATES_HELP, TemplateDictField
from ko_pants.errors import KoPantsError
from ko_pants.field_checks import checked
from ko_pants.layers.capabilities import capabilities_xattr
from ko_pants.oci.base_annotations import BASE_ANNOTATIONS
from ko_pants.oci.config_values import (
    check_annotations,
    check_arguments,
    check_directory,
    check_environment,
    check_names_of_system,
    check_paths_of_system,
    check_signal,
    check_user,
    check_volume,
    exposed_port,
)
from ko_pants.oci.platform import Platform


class CheckedStringField(StringField):
    """A string with a form of its own."""

    @classmethod
    def check(cls, value: str) -> None:
        """Refuse a value of another form.

        :raises KoPantsError: what was found and what was expected.
        """
        raise NotImplementedError

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, cls.check, value)
        return value


class CheckedSequenceField(StringSequenceField):
    """A list of strings with forms of their own."""

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        """The values as they are used.

        :raises KoPantsError: what was found and what was expected.
        """
        raise NotImplementedError

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        values = super().compute_value(raw_value, address)
        if not values:
            return values
        return checked(address, cls.alias, cls.read, values)


class CheckedKeysField(DictStringToStringField):
    """A dict whose keys are those of annotations."""

    reserved: tuple[str, ...] = ()

    @classmethod
    def compute_value(
        cls, raw_value: Optional[dict[str, str]], address: Address
    ) -> Optional[FrozenDict[str, str]]:
        value = super().compute_value(raw_value, address)
        checked(address, cls.alias, lambda keys: check_annotations(keys, cls.reserved), value or ())
        return value


class GoOciImageLabelsField(CheckedKeysField, TemplateDictField):
    alias = "image_labels"
    help = (
        "Labels of the image (`config.Labels`), added to those of the base image.\n\n"
        f"{TEMPLATES_HELP}\n\n"
        "Default: none. Example: `image_labels={'org.opencontainers.image.title': 'shop'}`."
    )


class GoOciImageAnnotationsField(CheckedKeysField):
    alias = "image_annotations"
    reserved = BASE_ANNOTATIONS
    help = (
        "Annotations of the image's manifests and of its index, added to those that it keeps of "
        "the base image. One with the same key takes the place of the base's.\n\n"
        "An index on a base of Docker's media types has no annotations; there only the manifests "
        "get them. `org.opencontainers.image.base.name` and `.digest` are written from "
        "`base_image` and cannot be set.\n\n"
        "Default: none. Example: `image_annotations={'org.opencontainers.image.vendor': "
        "'Example'}`."
    )


class GoOciImageUserField(CheckedStringField):
    alias = "user"
    help = (
        "The user that containers run as, and the group: names or numbers.\n\n"
        "Default: that of the base image. Examples: `user='65532'`, `user='65532:65532'`, "
        "`user='nonroot'`."
    )

    @classmethod
    def check(cls, value: str) -> None:
        check_user(value)


class GoOciImageLinuxCapabilitiesField(CheckedSequenceField):
    alias = "linux_capabilities"
    help = (
        "Capabilities of the executable's file on Linux, as `setcap` would set them, and as "
        "`linux_capabilities` in ko's `.ko.yaml`. A name or number alone is permitted; "
        "`cap1,cap2=ep` is a clause of cap_from_text(3). They are for the program of `binary`, and "
        "part of its layer.\n\n"
        "Default: none. Example: `linux_capabilities=['net_bind_service=ep']`."
    )

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not capabilities_xattr(values):
            raise KoPantsError(
                f"found {list(values)!r}, which leaves no capability permitted or inheritable; "
                "expected for example ['net_bind_service=ep'], or no field at all"
            )
        return values


class GoOciImageEntrypointArgsField(CheckedSequenceField):
    alias = "entrypoint_args"
    help = (
        "Arguments that the program always gets: they follow it in the image's entrypoint. `cmd` "
        "has those that can be replaced.\n\n"
        "Default: none. Example: `entrypoint_args=['--config=/etc/app.yaml']`."
    )

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        check_arguments(values)
        return values


class GoOciImageCmdField(CheckedSequenceField):
    alias = "cmd"
    help = (
        "Arguments that the program gets by default, after those of `entrypoint_args`. Arguments "
        "of `docker run`, or `args` of a Kubernetes container, take their place. Those of the base "
        "image are never used: they are for its own program.\n\n"
        "Default: none. Example: `cmd=['serve']`."
    )

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        check_arguments(values)
        return values


class GoOciImageEnvField(CheckedSequenceField):
    alias = "image_env"
    help = (
        "Environment variables of the image's containers, as `NAME=value`. Those of `go build` are "
        "in the field `env` of `go_executable`.\n\n"
        "The base image's variables are kept, with `/ko-app` at the end of `PATH` and "
        "`KO_DATA_PATH` added. A variable that is set here has just this value, whatever the base "
        "image says, also `PATH` and `KO_DATA_PATH`.\n\n"
        "Default: none. Example: `image_env=['LOG_LEVEL=info']`."
    )

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        check_environment(values)
        return values


class GoOciImageWorkdirField(CheckedStringField):
    alias = "workdir"
    help = (
        "The directory that containers start in, as an absolute path: `/app`, or `C:\\app` on "
        "Windows.\n\n"
        "Default: that of the base image. Example: `workdir='/app'`."
    )

    @classmethod
    def check(cls, value: str) -> None:
        check_directory(value)


class GoOciImagePortsField(CheckedSequenceField):
    alias = "ports"
    help = (
        "Ports that containers listen on, from 1 to 65535, with `/udp` or `/sctp` if it is not "
        "TCP. They are added to those of the base image.\n\n"
        "Default: none. Example: `ports=[8080, '5353/udp']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[Any]], address: Address
    ) -> Optional[tuple[str, ...]]:
        # `ports=[8080]` is what one would write.
        if isinstance(raw_value, (list, tuple)):
            raw_value = [str(value) if type(value) is int else value for value in raw_value]
        return super().compute_value(raw_value, address)

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(exposed_port, values))


class GoOciImageVolumesField(CheckedSequenceField):
    alias = "volumes"
    help = (
        "Directories of the image whose data outlive its containers, as absolute paths. They are "
        "added to those of the base image.\n\n"
        "Default: none. Example: `volumes=['/data']`."
    )

    @classmethod
    def read(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check_volume(value)
        return values


class GoOciImageStopSignalField(CheckedStringField):
    alias = "stop_signal"
    help = (
        "The signal that asks a container to stop: a name, or a number from 1 to 64.\n\n"
        "Default: that of the base image; where it has none, runtimes send SIGTERM. Examples: "
        "`stop_signal='SIGINT'`, `stop_signal='SIGRTMIN+3'`."
    )

    @classmethod
    def check(cls, value: str) -> None:
        check_signal(value)


def check_systems(
    address: Address,
    platforms: Sequence[Platform],
    workdir: GoOciImageWorkdirField,
    volumes: GoOciImageVolumesField,
    image_env: GoOciImageEnvField,
    capabilities: GoOciImageLinuxCapabilitiesField,
) -> None:
    """Make sure that fields fit the operating systems of an image.

    :raises KoPantsError: a path or name is none on a platform, or no executable is for Linux.
    """
    for alias, check, values in (
        (workdir.alias, check_paths_of_system, (workdir.value,) if workdir.value else ()),
        (volumes.alias, check_paths_of_system, volumes.value or ()),
        (image_env.alias, check_names_of_system, image_env.value or ()),
        (capabilities.alias, _check_for_linux, capabilities.value or ()),
    ):
        try:
            check(values, platforms)
        except KoPantsError as e:
            raise KoPantsError(f"{address}, field `{alias}`: {e}") from None


def _check_for_linux(capabilities: Sequence[str], platforms: Sequence[Platform]) -> None:
    if capabilities and all(platform.os != "linux" for platform in platforms):
        raise KoPantsError(
            f"found {list(capabilities)!r} for {', '.join(map(str, platforms))}; only executables "
            "for Linux have capabilities. Leave the field out"
        )


@dataclass(frozen=True)
class ImageConfigFieldSet(PackageFieldSet):
    """The part of `GoOciImageFieldSet` that these fields are."""

    labels: GoOciImageLabelsField
    annotations: GoOciImageAnnotationsField
    user: GoOciImageUserField
    linux_capabilities: GoOciImageLinuxCapabilitiesField
    entrypoint_args: GoOciImageEntrypointArgsField
    cmd: GoOciImageCmdField
    image_env: GoOciImageEnvField
    workdir: GoOciImageWorkdirField
    ports: GoOciImagePortsField
    volumes: GoOciImageVolumesField
    stop_signal: GoOciImageStopSignalField
