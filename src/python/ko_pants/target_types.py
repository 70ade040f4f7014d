"""Targets: `go_oci_image`, its base and program, and the owners of Go files, `go_sources`."""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Iterable, Optional

from pants.core.goals.package import OutputPathField, PackageFieldSet
from pants.engine.addresses import Address
from pants.engine.rules import collect_rules
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    AsyncFieldMixin,
    BoolField,
    Dependencies,
    FieldSet,
    InvalidTargetException,
    MultipleSourcesField,
    SingleSourceField,
    StringField,
    StringSequenceField,
    Target,
    TargetGenerator,
)
from pants.engine.unions import UnionRule

from ko_pants.address_fields import AddressesField, AddressField
from ko_pants.artifact_fields import GoOciImageProvenanceField, GoOciImageSbomField
from ko_pants.base_image_fields import (
    OciBaseImageDependenciesField,
    OciBaseImageLockfileField,
    OciBaseImageReferenceField,
    check_base_image,
)
from ko_pants.build_fields import (
    TEMPLATES_HELP,
    GoExecutablePackageField,
    GoOciImageDebugField,
    GoOciImageDelveField,
    GoOciImageDisableOptimizationsField,
    TemplateSequenceField,
    check_debug_platforms,
    check_main,
)
from ko_pants.check_fields import GoOciImageSkipCheckField
from ko_pants.comma_lists import split_commas
from ko_pants.config_fields import (
    CheckedStringField,
    GoOciImageAnnotationsField,
    GoOciImageCmdField,
    GoOciImageEntrypointArgsField,
    GoOciImageEnvField,
    GoOciImageLabelsField,
    GoOciImageLinuxCapabilitiesField,
    GoOciImagePortsField,
    GoOciImageStopSignalField,
    GoOciImageUserField,
    GoOciImageVolumesField,
    GoOciImageWorkdirField,
    ImageConfigFieldSet,
    check_systems,
)
from ko_pants.environment_fields import (
    GoExecutableEnvironmentField,
    GoOciImageEnvironmentField,
)
from ko_pants.errors import KoPantsError
from ko_pants.field_checks import checked, in_field
from ko_pants.files_fields import (
    GoOciImageFilesField,
    OciFilesAtField,
    OciFilesDependenciesField,
    OciFilesDirectoryModeField,
    OciFilesModeField,
    OciFilesOwnerField,
    OciFilesRenameField,
    OciFilesSourcesField,
    OciFilesStripPrefixField,
    OciFilesTargetsField,
    check_files_target,
)
from ko_pants.go_sources_fields import (
    GoPackageSourcesDependenciesField,
    GoPackageSourcesField,
    GoSourcesTargetUnitField,
)
from ko_pants.golang.build_environment import parse_env_field
from ko_pants.golang.build_flags import check_flags
from ko_pants.golang.templates import has_template
from ko_pants.layer_fields import (
    GoOciImageCompressionField,
    GoOciImageCompressionLevelField,
    GoOciImageKodataField,
    check_compression,
)
from ko_pants.literal_globs import literal_glob
from ko_pants.manifest_fields import (
    KubernetesManifestsDependenciesField,
    KubernetesManifestsRegistryField,
    KubernetesManifestsSelectorField,
    KubernetesManifestsSourcesField,
)
from ko_pants.oci.platform import Platform, parse_wanted
from ko_pants.package_fields import GoOciImagePackageFormatsField
from ko_pants.publishing.destinations import check_repository_template, check_tag_templates
from ko_pants.publishing.registries import ALL_DEFAULT_REGISTRIES, check_named_registries
from ko_pants.run_fields import GoOciImageExtraRunArgsField

# As Pants begins its message.
_UNKNOWN_FIELD = re.compile(r"Unrecognized field `([^=`]+)=")
# `difflib` counts from 0 to 1: enough for `base` and `base_image`.
_LIKENESS = 0.55


class NamedTarget(Target):
    """A target that has to have a name.

    Elsewhere a target without one has the name of its directory. The build root has no name, and
    Pants takes no address that has neither directory nor name: it says so only later, and only
    where the address is used (`--changed-since`, `{name}`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]
        """As Pants does it; where a field is unknown, the text ends with the one that may be meant.

        Pants 2.34 looks at the fields before this runs, and says so without that end.

        :raises InvalidTargetException: a field is unknown, or its value is a mistake.
        """
        try:
            super().__init__(*args, **kwargs)
        except InvalidTargetException as e:
            meant = self._near_name(str(e))
            if not meant:
                raise
            raise InvalidTargetException(f"{e} Did you mean `{meant}`?") from None

    @classmethod
    def _near_name(cls, message: str) -> str:
        """The field whose name is like that of the unknown field in Pants' message."""
        found = _UNKNOWN_FIELD.search(message)
        names = [field.alias for field in cls.core_fields]
        near = difflib.get_close_matches(found.group(1), names, 1, _LIKENESS) if found else []
        return "".join(near)

    def validate(self) -> None:
        """Refuse a target without a name.

        :raises InvalidTargetException: it has none. Pants puts file and line before the text.
        """
        super().validate()
        if not self.address.target_name:
            raise InvalidTargetException(
                f"a `{self.alias}` in the BUILD file at the build root has no name by default; "
                f'expected a field `name`, for example `{self.alias}(name="app")`'
            )


class GoOciImageDependenciesField(Dependencies):
    pass


class GoOciImageBinaryField(AddressField):
    alias = "binary"
    help = (
        "The address of the program that the image runs. It can be a `go_executable`, a "
        "`go_binary` of Pants' Go backend (it is cross-compiled from its main package), or any "
        "target that yields one executable: what it packages, or else its sources (`file`, "
        "`shell_command` and others).\n\n"
        "Default: the main package in the directory of the BUILD file. Example: `binary=':server'`."
    )


class GoOciImageBinariesField(AddressesField):
    alias = "binaries"
    help = (
        "The addresses of more programs in the image, of the same kinds as `binary`. Each gets a "
        "layer of its own, at `/ko-app/<name>`. The entrypoint is `binary`.\n\n"
        "Default: none. Example: `binaries=['//cmd/migrate:bin']`."
    )


class GoOciImagePlatformsField(StringSequenceField):
    alias = "platforms"
    help = (
        "The platforms that the image is built for, as `os/arch[/variant]`. One platform gives a "
        "single image, several give an image index. `['all']` means every platform of the base "
        "image that Go can build for.\n\n"
        "Default: `[ko].default_platforms`, or `$KO_DEFAULTPLATFORMS`, or `linux/amd64`. Example: "
        "`platforms=['linux/amd64', 'linux/arm64']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        values = super().compute_value(raw_value, address)
        if values is not None:
            checked(address, cls.alias, cls._check, split_commas(values))
        return values

    @staticmethod
    def _check(values: tuple[str, ...]) -> None:
        if not values:
            raise KoPantsError(
                "found no platform; expected for example ['linux/amd64'], or no field at all for "
                "the default"
            )
        parse_wanted(values)


class GoOciImageBaseImageField(CheckedStringField, AsyncFieldMixin):
    alias = "base_image"
    help = (
        "The image that the layers are put on: a reference by tag or digest, the address of an "
        "`oci_base_image` (it begins with `//` or `:`), an OCI layout on disk "
        "(`oci:<directory>[:<name>]`, relative to the build root), or `scratch`.\n\n"
        "Default: `[ko].default_base_image`, or `$KO_DEFAULTBASEIMAGE`. Example: "
        "`base_image='//images:static'`."
    )

    @classmethod
    def check(cls, value: str) -> None:
        check_base_image(value)


class GoOciImageRepositoryField(StringField):
    alias = "repository"
    help = (
        "The repository of the image, without registry and tag. A registry of `[ko].registries` "
        "can have another one.\n\n"
        "Placeholders are filled in: `{name}` (the target's name), `{directory}` (the last "
        "directory of its BUILD file), `{parent_directory}` (the one above), `{full_directory}` "
        "(the whole path), `{import_path}` (of the program), `{base}` (its last element), `{md5}` "
        "(of the import path, as in ko), `{pants.hash}` (of what is in the image) and "
        "`{default_repository}`.\n\n"
        "Default: `[ko].default_repository`, or `[ko].naming`. Example: `repository='shop/{name}'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            in_field(check_repository_template, value, f"{address}, field `{cls.alias}`")
        return value


class GoOciImageRegistriesField(StringSequenceField):
    alias = "registries"
    default = (ALL_DEFAULT_REGISTRIES,)
    help = (
        "The registries that `publish` pushes the image to: addresses, or aliases of "
        "`[ko].registries` with an `@` before them.\n\n"
        "Default: all entries of `[ko].registries` with `default = true`, else `$KO_DOCKER_REPO`, "
        "else the OCI image layout `[ko].layout_path` (below `dist/`). Example: "
        "`registries=['@prod', 'registry.example.com:5000']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        values = super().compute_value(raw_value, address)
        checked(address, cls.alias, check_named_registries, values or ())
        return values


class GoOciImageTagsField(StringSequenceField):
    alias = "image_tags"
    default = ("latest",)
    help = (
        "The tags that the image is published under. Placeholders of `repository` and templates as "
        "in ko are filled in. `env('VERSION')` in the BUILD file reads a variable.\n\n"
        "Default: `['latest']`. Example: `image_tags=['latest', '{pants.hash}', '{{.Git.Tag}}']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        values = super().compute_value(raw_value, address)
        in_field(check_tag_templates, values or (), f"{address}, field `{cls.alias}`")
        return values


class GoOciImageSkipPushField(BoolField):
    alias = "skip_push"
    default = False
    help = (
        "If true, `publish` builds the image but does not push it.\n\n"
        "Default: false. Example: `skip_push=True`."
    )


class GoOciImageTarget(NamedTarget):
    alias = "go_oci_image"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        GoOciImageBinaryField,
        GoOciImageBinariesField,
        GoOciImageDebugField,
        GoOciImageDelveField,
        GoOciImageDisableOptimizationsField,
        GoOciImagePlatformsField,
        GoOciImageEnvironmentField,
        GoOciImageBaseImageField,
        GoOciImageRepositoryField,
        GoOciImageRegistriesField,
        GoOciImageTagsField,
        GoOciImageLabelsField,
        GoOciImageAnnotationsField,
        GoOciImageUserField,
        GoOciImageLinuxCapabilitiesField,
        GoOciImageEntrypointArgsField,
        GoOciImageCmdField,
        GoOciImageEnvField,
        GoOciImageWorkdirField,
        GoOciImagePortsField,
        GoOciImageVolumesField,
        GoOciImageStopSignalField,
        GoOciImageSkipPushField,
        GoOciImageSkipCheckField,
        GoOciImageFilesField,
        GoOciImageKodataField,
        GoOciImageCompressionField,
        GoOciImageCompressionLevelField,
        GoOciImagePackageFormatsField,
        GoOciImageSbomField,
        GoOciImageProvenanceField,
        GoOciImageExtraRunArgsField,
        GoOciImageDependenciesField,
        OutputPathField,
    )
    help = (
        "An OCI image of a Go program, built without Docker.\n\n"
        "Beside a `main.go`, `go_oci_image()` is enough; at the build root it needs a `name`. "
        "`package` writes the image's descriptor, `publish` pushes what is missing, `run` runs it, "
        "and `check` compiles the program alone."
    )

    def validate(self) -> None:
        """Refuse fields that do not fit together.

        :raises InvalidTargetException: Pants puts file and line before the text.
        """
        super().validate()
        check_compression(
            self.address, self[GoOciImageCompressionField], self[GoOciImageCompressionLevelField]
        )
        platforms = parse_wanted(split_commas(self[GoOciImagePlatformsField].value or ()))
        # None: those of an option, or of the base image.
        if platforms:
            self._check_platforms(platforms)

    def _check_platforms(self, platforms: tuple[Platform, ...]) -> None:
        try:
            check_systems(
                self.address,
                platforms,
                self[GoOciImageWorkdirField],
                self[GoOciImageVolumesField],
                self[GoOciImageEnvField],
                self[GoOciImageLinuxCapabilitiesField],
            )
            if self[GoOciImageDebugField].value:
                where = f"{self.address}, field `{GoOciImageDebugField.alias}`"
                check_debug_platforms(platforms, where)
        except KoPantsError as e:
            raise InvalidTargetException(str(e)) from None


@dataclass(frozen=True)
class GoOciImageFieldSet(ImageConfigFieldSet):
    """What building an image needs of its target."""

    required_fields = (GoOciImageRegistriesField, GoOciImageBaseImageField)

    binary: GoOciImageBinaryField
    binaries: GoOciImageBinariesField
    debug: GoOciImageDebugField
    delve: GoOciImageDelveField
    disable_optimizations: GoOciImageDisableOptimizationsField
    platforms: GoOciImagePlatformsField
    environment: GoOciImageEnvironmentField
    base_image: GoOciImageBaseImageField
    repository: GoOciImageRepositoryField
    registries: GoOciImageRegistriesField
    tags: GoOciImageTagsField
    skip_push: GoOciImageSkipPushField
    files: GoOciImageFilesField
    kodata: GoOciImageKodataField
    compression: GoOciImageCompressionField
    compression_level: GoOciImageCompressionLevelField
    package_formats: GoOciImagePackageFormatsField
    sbom: GoOciImageSbomField
    provenance: GoOciImageProvenanceField
    output_path: OutputPathField

    def __hash__(self) -> int:
        # The engine takes one for each question. That of 40 fields takes as long as the answer.
        return hash((self.address, self.tags.value))

    def without_names(self) -> GoOciImageFieldSet:
        """The same with the defaults of all fields that say where the image goes.

        What is in an image does not depend on them. So the steps that build it are asked with this,
        and the engine answers a new tag with the image of the last run.
        """
        if self.tags is _NO_NAMES["tags"]:
            return self
        return dataclasses.replace(self, **_NO_NAMES)


# The values that BUILD files without these fields have. Such a field knows no address.
_NO_NAMES: dict[str, Any] = {
    name: field(None, Address(""))
    for name, field in (
        ("repository", GoOciImageRepositoryField),
        ("registries", GoOciImageRegistriesField),
        ("tags", GoOciImageTagsField),
        ("skip_push", GoOciImageSkipPushField),
    )
}


class OciBaseImageTarget(NamedTarget):
    alias = "oci_base_image"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        OciBaseImageReferenceField,
        OciBaseImageLockfileField,
        OciBaseImageDependenciesField,
    )
    help = (
        "A base image that is named once and pinned by a lock file in the repository.\n\n"
        "`go_oci_image(base_image='//images:static')` builds on the locked digest. `./pants "
        "ko-lock images:static` locks what the tag names now."
    )


class OciFilesTarget(NamedTarget):
    alias = "oci_files"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        OciFilesSourcesField,
        OciFilesTargetsField,
        OciFilesAtField,
        OciFilesStripPrefixField,
        OciFilesRenameField,
        OciFilesModeField,
        OciFilesDirectoryModeField,
        OciFilesOwnerField,
        OciFilesDependenciesField,
    )
    help = (
        "Files for a layer of their own in an image.\n\n"
        "A `go_oci_image` names this target in `files`. The files are sources, and what other "
        "targets yield."
    )

    def validate(self) -> None:
        """Refuse fields that do not fit together.

        :raises InvalidTargetException: Pants puts file and line before the text.
        """
        super().validate()
        check_files_target(self)


@dataclass(frozen=True)
class OciFilesFieldSet(FieldSet):
    """What the files of a target come from."""

    required_fields = (OciFilesAtField, OciFilesTargetsField)

    sources: OciFilesSourcesField
    targets: OciFilesTargetsField
    at: OciFilesAtField
    strip_prefix: OciFilesStripPrefixField
    rename: OciFilesRenameField
    mode: OciFilesModeField
    directory_mode: OciFilesDirectoryModeField
    owner: OciFilesOwnerField


class GoExecutableMainField(StringField):
    alias = "main"
    default = "."
    help = (
        "The directory of the main package, relative to the BUILD file. A Go file stands for its "
        "directory, as in ko.\n\n"
        "Default: the directory of the BUILD file. Example: `main='cmd/server'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, partial(check_main, address.spec_path), value)
        return value


class GoExecutableFlagsField(TemplateSequenceField):
    alias = "flags"
    help = (
        "Flags for `go build`, as `flags` in ko's `.ko.yaml`.\n\n"
        f"{TEMPLATES_HELP}\n\n"
        "Default: none. Example: `flags=['-tags=netgo']`."
    )

    @classmethod
    def check(cls, values: tuple[str, ...], where: str) -> None:
        # What a template makes of them is checked when it is filled in.
        if not has_template(values):
            check_flags(values, where=where)


class GoExecutableLdflagsField(TemplateSequenceField):
    alias = "ldflags"
    help = (
        "Flags for the linker, as `ldflags` in ko's `.ko.yaml`.\n\n"
        f"{TEMPLATES_HELP}\n\n"
        "Default: none. Example: `ldflags=['-s', '-w', '-X main.version={{.Git.Tag}}']`."
    )

    @classmethod
    def check(cls, values: tuple[str, ...], where: str) -> None:
        if not has_template(values):
            check_flags([f"-ldflags={' '.join(values)}"], where=where)


class GoExecutableEnvField(TemplateSequenceField):
    alias = "env"
    help = (
        "Environment variables of `go build`, as `NAME=value`, and as `env` in ko's `.ko.yaml`.\n\n"
        f"{TEMPLATES_HELP}\n\n"
        "Default: none. Example: `env=['GOEXPERIMENT=jsonv2']`."
    )

    @classmethod
    def check(cls, values: tuple[str, ...], where: str) -> None:
        parse_env_field(values, where=where)


class GoExecutableDependenciesField(Dependencies):
    pass


class GoExecutableTarget(NamedTarget):
    alias = "go_executable"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        GoExecutableMainField,
        GoExecutablePackageField,
        GoExecutableFlagsField,
        GoExecutableLdflagsField,
        GoExecutableEnvField,
        GoExecutableEnvironmentField,
        GoExecutableDependenciesField,
    )
    help = (
        "A Go main package that is compiled for every platform that an image wants.\n\n"
        "A `go_oci_image` names this target in `binary` or `binaries`. It is needed only where `go "
        "build` takes flags, or where one program is in several images."
    )

    def validate(self) -> None:
        """Refuse two programs in one target.

        :raises InvalidTargetException: Pants puts file and line before the text.
        """
        super().validate()
        main, package = self[GoExecutableMainField].value, self[GoExecutablePackageField].value
        if package and main != GoExecutableMainField.default:
            raise InvalidTargetException(
                f"{self.address}: found `main` {main!r} and `package` {package!r}; expected one "
                "of them: a directory of the repository, or a package of another module"
            )


class GoSourceField(SingleSourceField):
    """A path, whatever characters it has: the generator puts files here that it has found."""

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        # Without the checks of the base class, which takes `*` and `!` for globs.
        return StringField.compute_value.__func__(cls, raw_value, address)  # type: ignore[attr-defined,no-any-return]

    @property
    def globs(self) -> tuple[str, ...]:
        """The path as a glob that matches it alone."""
        return (literal_glob(self.value),)


class GoSourceDependenciesField(Dependencies):
    pass


class GoSourceTarget(Target):
    alias = "go_source"
    core_fields = (*COMMON_TARGET_FIELDS, GoSourceField, GoSourceDependenciesField)
    help = (
        "One file that Go builds read: source, go.mod, go.sum or an embedded file.\n\n"
        "Its generator is `go_sources`; nobody needs to write one."
    )


class GoPackageSourcesTarget(Target):
    alias = "go_package_sources"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        GoPackageSourcesField,
        GoPackageSourcesDependenciesField,
    )
    help = (
        "The files of one Go package that builds read, or the tests of all packages.\n\n"
        "It can also be a main package and the packages of its `internal` directory. "
        "`go_sources` generates it where it has `one_target_per='package'` or `'program'`."
    )


class GoSourcesField(MultipleSourcesField):
    default: ClassVar[tuple[str, ...]] = (
        "**/*.go",
        "**/*.s",
        "**/*.h",
        "**/*.syso",
        "**/go.mod",
        "**/go.sum",
        "**/go.work",
        "**/go.work.sum",
        "**/vendor/modules.txt",
        "**/.ko.yaml",
        "**/kodata/**",
    )
    uses_source_roots = False
    help = (
        "Globs of the files to own, relative to the BUILD file. Files that these embed "
        "(`//go:embed`) are owned as well.\n\n"
        "Default: all Go files and files beside them that builds read, at and below the BUILD "
        "file, `go.mod`, `go.sum` and `kodata` among them. Example: `sources=['**/*.go', 'go.mod', "
        "'go.sum']`."
    )


class GoSourcesTarget(TargetGenerator, NamedTarget):
    alias = "go_sources"
    generated_target_cls = GoSourceTarget
    core_fields = (*COMMON_TARGET_FIELDS, GoSourcesField, GoSourcesTargetUnitField)
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = (GoSourceDependenciesField,)
    help = (
        "The owner of the Go files at and below the BUILD file.\n\n"
        "It generates a `go_source` for each file, or a `go_package_sources` for each package or "
        "program (`one_target_per`). With it, `--changed-since` and `dependencies` see the files. "
        "One `go_sources(name='go')` at the root of a module is enough. It is not needed where "
        "Pants' Go backend owns the files (`go_mod`, `go_package`). A deleted file selects no "
        "image with `--changed-since`; `publish ::` sees it."
    )


class KubernetesManifestsTarget(NamedTarget):
    alias = "kubernetes_manifests"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        KubernetesManifestsSourcesField,
        KubernetesManifestsSelectorField,
        KubernetesManifestsRegistryField,
        KubernetesManifestsDependenciesField,
        OutputPathField,
    )
    help = (
        "Kubernetes manifests that name images of this repository.\n\n"
        "`ko://<import path>` and `pants://<address>` in them stand for images. `package` writes "
        "them as one file with the digests of the images. `publish` pushes these images, and then "
        "writes the file. `ko-resolve` pushes and prints it."
    )


@dataclass(frozen=True)
class KubernetesManifestsFieldSet(PackageFieldSet):
    """What packaging manifests needs of their target."""

    required_fields = (KubernetesManifestsSourcesField, KubernetesManifestsSelectorField)

    sources: KubernetesManifestsSourcesField
    selector: KubernetesManifestsSelectorField
    registry: KubernetesManifestsRegistryField
    output_path: OutputPathField


def target_types() -> list[type[Target]]:
    """The targets of the backend."""
    return [
        GoOciImageTarget,
        OciBaseImageTarget,
        OciFilesTarget,
        GoExecutableTarget,
        GoSourcesTarget,
        GoSourceTarget,
        GoPackageSourcesTarget,
        KubernetesManifestsTarget,
    ]


def rules() -> list[object]:
    """Images and manifests are packages."""
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, GoOciImageFieldSet),
        UnionRule(PackageFieldSet, KubernetesManifestsFieldSet),
    ]
