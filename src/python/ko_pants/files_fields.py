"""The fields of `oci_files`, and the field of `go_oci_image` that names such targets."""

from __future__ import annotations

from typing import ClassVar, Iterable, Optional, Tuple

from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    DictStringToStringField,
    InvalidFieldException,
    InvalidTargetException,
    MultipleSourcesField,
    StringField,
    Target,
)

from ko_pants.address_fields import AddressesField
from ko_pants.field_checks import checked
from ko_pants.layers.placement import (
    check_renames,
    parse_mode,
    parse_owner,
    parse_place,
    parse_relative,
)


class GoOciImageFilesField(AddressesField):
    alias = "files"
    help = (
        "Addresses of `oci_files` targets: more files in the image. Each target is a layer of its "
        "own, in this order, below kodata and the program.\n\n"
        "Default: none. Example: `files=['//config:app']`."
    )


class OciFilesDependenciesField(Dependencies):
    pass


class OciFilesSourcesField(MultipleSourcesField):
    """Files of the repo. `oci_files` itself says what is wrong with a pattern without a match."""

    default: ClassVar[Tuple[str, ...]] = ()
    uses_source_roots = False
    help = (
        "Globs of files relative to the BUILD file. A file has its path relative to the BUILD file "
        "in the image too, below `at`.\n\n"
        "Default: none. Example: `sources=['config/**', '!**/*.md']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[Tuple[str, ...]]:
        value = super().compute_value(raw_value, address)
        for glob in value or ():
            path = glob[1:] if glob.startswith("!") else glob
            if path.startswith("/") or ".." in path.split("/"):
                raise InvalidFieldException(
                    f"{address}, field `{cls.alias}`: expected globs relative to the BUILD file, "
                    f"below it, such as 'config/**'; found {glob!r}"
                )
        return value


class OciFilesTargetsField(AddressesField):
    alias = "targets"
    help = (
        "Addresses of targets whose files go in: what they package (`archive`, `pex_binary`, "
        "`go_binary` and others), or else their sources (`file`, `files`, `resources`, "
        "`relocated_files`, `shell_command`, `adhoc_tool` and others). A package has its file name "
        "in the image. A source has its path relative to the BUILD file of its target.\n\n"
        "Default: none. Example: `targets=['//web:assets']`."
    )


class OciFilesAtField(StringField):
    alias = "at"
    required = True
    value: str
    help = (
        "The directory in the image that the files are put into, as an absolute path. In a Windows "
        "image `/etc/app` is `C:\\etc\\app`.\n\n"
        "Required. Example: `at='/etc/app'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        return None if value is None else checked(address, cls.alias, parse_place, value)


class OciFilesStripPrefixField(StringField):
    alias = "strip_prefix"
    help = (
        "A directory that is taken off the paths of all files. With `strip_prefix='config'` the "
        "file `config/app.yaml` is `<at>/app.yaml`.\n\n"
        "Default: none. Example: `strip_prefix='config'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        return None if value is None else checked(address, cls.alias, parse_relative, value)


class OciFilesRenameField(DictStringToStringField):
    alias = "rename"
    help = (
        "Other paths for single files, relative to `at`. `strip_prefix` is applied before.\n\n"
        "Default: none. Example: `rename={'prod.yaml': 'app.yaml'}`."
    )

    @property
    def renames(self) -> dict[str, str]:
        """The new path of each file that gets one."""
        return dict(self.value or {})


class _ModeField(StringField):
    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, parse_mode, value)
        return value

    @property
    def mode(self) -> Optional[int]:
        """Permission bits; None where not set."""
        return None if self.value is None else parse_mode(self.value)


class OciFilesModeField(_ModeField):
    alias = "mode"
    help = (
        "The mode of every file, in octal digits.\n\n"
        "Default: `0755` for files that are executable, else `0644`. Example: `mode='0600'`."
    )


class OciFilesDirectoryModeField(_ModeField):
    alias = "directory_mode"
    help = (
        "The mode of `at` and of the directories below, in octal digits.\n\n"
        "Default: `0755` if `owner` is given. Otherwise the layer has no directories: those of the "
        "base image stay as they are, and new ones are made with mode 0755 and owner 0. Example: "
        "`directory_mode='0700'`."
    )


class OciFilesOwnerField(StringField):
    alias = "owner"
    help = (
        "User and group, as numbers: of every file, of `at`, and of the directories below.\n\n"
        "Default: `0:0`, and directories as the base image has them. Example: `owner='1000:1000'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, parse_owner, value)
        return value

    @property
    def ids(self) -> Optional[Tuple[int, int]]:
        """User and group id; None where not set."""
        return None if self.value is None else parse_owner(self.value)


def check_files_target(target: Target) -> None:
    """Refuse an `oci_files` that can have nothing in it, and renames that lead nowhere.

    :raises InvalidTargetException: Pants puts file and line before the text.
    """
    checked(
        target.address,
        OciFilesRenameField.alias,
        check_renames,
        target[OciFilesRenameField].renames,
    )
    if (
        not target[OciFilesSourcesField].value
        and not target[OciFilesTargetsField].value
        and target[OciFilesDirectoryModeField].value is None
    ):
        raise InvalidTargetException(
            f"{target.address}: expected `sources` or `targets`, the files of this layer; or "
            "`directory_mode` for an empty directory"
        )
