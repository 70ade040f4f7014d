"""Targets: `go_oci_image`, its base and program, and the owners of Go files, `go_sources`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

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

from ko_pants.artifact_fields import GoOciImageProvenanceField, GoOciImageSbomField
from ko_pants.base_image_fields import (
    OciBaseImageDependenciesField,
    OciBaseImageLockfileField,
    OciBaseImageReferenceField,
)
from ko_pants.build_fields import (
    TEMPLATES_HELP,
    GoExecutablePackageField,
    GoOciImageDebugField,
    GoOciImageDelveField,
    GoOciImageDisableOptimizationsField,
    TemplateSequenceField,
)
from ko_pants.config_fields import (
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
)
from ko_pants.environment_fields import (
    GoExecutableEnvironmentField,
    GoOciImageEnvironmentField,
)
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
from ko_pants.package_fields import GoOciImagePackageFormatsField
from ko_pants.publishing.registries import ALL_DEFAULT_REGISTRIES
from ko_pants.run_fields import GoOciImageExtraRunArgsField


class NamedTarget(Target):
    """A target that has to have a name.

    Elsewhere a target without one has the name of its directory. The build root has no name, and
    Pants takes no address that has neither directory nor name: it says so only later, and only
    where the address is used (`--changed-since`, `{name}`).
    """

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


class GoOciImageBinaryField(StringField, AsyncFieldMixin):
    alias = "binary"
    help = (
        "The address of the program in the image: a `go_executable`, a `go_binary` of Pants' Go "
        "backend (it is cross-compiled from its main package), or any target that yields one "
        "executable: what it packages, or else its sources (`file`, `shell_command`, ...).\n\n"
        "If left out, the main package in the directory of the BUILD file is compiled."
    )


class GoOciImageBinariesField(StringSequenceField, AsyncFieldMixin):
    alias = "binaries"
    help = (
        "The addresses of more programs in the image, of the same kinds as `binary`. Each is in a "
        "layer of its own, at `/ko-app/<name>`; the entrypoint is `binary`."
    )


class GoOciImagePlatformsField(StringSequenceField):
    alias = "platforms"
    help = (
        "The platforms of the image, as `os/arch[/variant]`, for example "
        "`['linux/amd64', 'linux/arm64']`. Several give an image index, one a single image. "
        "`['all']` means every platform of the base image that Go can build for.\n\n"
        "Default: `[ko].default_platforms`, or `$KO_DEFAULTPLATFORMS`."
    )


class GoOciImageBaseImageField(StringField, AsyncFieldMixin):
    alias = "base_image"
    help = (
        "The base image: a reference by tag or digest (`registry.example.com/static:latest`, "
        "`...@sha256:...`), the address of an `oci_base_image` (`//images:static`, or `:static` in "
        "the same BUILD file), an OCI layout on disk (`oci:path/to/layout[:name]`, relative to the "
        "build root), or `scratch`.\n\n"
        "Default: `[ko].default_base_image`, or `$KO_DEFAULTBASEIMAGE`."
    )


class GoOciImageRepositoryField(StringField):
    alias = "repository"
    help = (
        "The repository of the image, without registry and tag, for example `shop/{name}`.\n\n"
        "Placeholders: `{name}` (the target's name), `{directory}` (the last directory of its "
        "BUILD file), `{parent_directory}` (the one above), `{full_directory}` (the whole path), "
        "`{import_path}` (of the program), `{base}` (its last element), `{md5}` (of the import "
        "path, as ko has it), `{pants.hash}` (of what is in the image) and "
        "`{default_repository}`. A registry of `[ko].registries` may override it.\n\n"
        "Default: `[ko].default_repository`, or `[ko].naming`."
    )


class GoOciImageRegistriesField(StringSequenceField):
    alias = "registries"
    default = (ALL_DEFAULT_REGISTRIES,)
    help = (
        "Where to publish: addresses (`registry.example.com:5000`) or aliases of "
        "`[ko].registries` (`@prod`).\n\n"
        "By default all registries of `[ko].registries` with `default = true`, else "
        "`$KO_DOCKER_REPO`, else the OCI image layout `[ko].layout_path` (below `dist/`)."
    )


class GoOciImageTagsField(StringSequenceField):
    alias = "image_tags"
    default = ("latest",)
    help = (
        "The tags that the image is published under. They can have the placeholders of "
        "`repository`, for example `['latest', '{pants.hash}']`, templates as in ko "
        "(`['{{.Git.Tag}}']`), and values of the environment: `[env('VERSION')]`."
    )


class GoOciImageSkipPushField(BoolField):
    alias = "skip_push"
    default = False
    help = "If true, `publish` builds the image but does not push it."


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
        "`package` writes the image's descriptor, `publish` pushes what is missing."
    )

    def validate(self) -> None:
        """Refuse fields that do not fit together.

        :raises InvalidTargetException: Pants puts file and line before the text.
        """
        super().validate()
        check_compression(
            self.address, self[GoOciImageCompressionField], self[GoOciImageCompressionLevelField]
        )


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
        "`go_oci_image(base_image='//images:static')` builds on the locked digest. "
        "`./pants ko-lock images:static` locks what the tag names now."
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
        "Files for a layer of their own in a `go_oci_image`, which names this target in `files`: "
        "sources, and what other targets yield."
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
        "The directory of the main package, relative to the BUILD file (`.` is the default), "
        "for example `cmd/server`. A Go file stands for its directory, as in ko."
    )


class GoExecutableFlagsField(TemplateSequenceField):
    alias = "flags"
    help = (
        "Flags for `go build`, for example `['-tags=netgo']`. As `flags` in ko's `.ko.yaml`.\n\n"
        f"{TEMPLATES_HELP}"
    )


class GoExecutableLdflagsField(TemplateSequenceField):
    alias = "ldflags"
    help = (
        "Flags for the linker, for example `['-s', '-w', '-X main.version={{.Git.Tag}}']`. As "
        f"`ldflags` in ko's `.ko.yaml`.\n\n{TEMPLATES_HELP}"
    )


class GoExecutableEnvField(TemplateSequenceField):
    alias = "env"
    help = (
        "Environment of `go build` as `NAME=value`, for example `['GOEXPERIMENT=...']`. "
        f"As `env` in ko's `.ko.yaml`.\n\n{TEMPLATES_HELP}"
    )


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
        "A Go main package, cross-compiled with the `go` tool for every platform that an image "
        "wants. Needed only where `go build` takes flags, or where one program is in several "
        "images."
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
    help = "One file that Go builds read: source, go.mod, go.sum or an embedded file."


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
        "(`//go:embed`) are owned as well."
    )


class GoSourcesTarget(TargetGenerator, NamedTarget):
    alias = "go_sources"
    generated_target_cls = GoSourceTarget
    core_fields = (*COMMON_TARGET_FIELDS, GoSourcesField)
    copied_fields = COMMON_TARGET_FIELDS
    moved_fields = (GoSourceDependenciesField,)
    help = (
        "Owns the Go files at and below the BUILD file, one `go_source` each, so that "
        "`--changed-since` and `dependencies` see them. One `go_sources(name='go')` at the root of "
        "a module is enough. A deleted file selects no image with `--changed-since`; `publish ::` "
        "sees it. Not needed where Pants' Go backend owns the files (`go_mod`, "
        "`go_package`)."
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
        "Kubernetes manifests in which `ko://<import path>` and `pants://<address>` stand for "
        "images of this repository.\n\n"
        "`package` writes them as one file with the digests of the images. `publish` pushes these "
        "images, and then writes the file. `ko-resolve` pushes and prints it."
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
        KubernetesManifestsTarget,
    ]


def rules() -> list[object]:
    """Images and manifests are packages."""
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, GoOciImageFieldSet),
        UnionRule(PackageFieldSet, KubernetesManifestsFieldSet),
    ]
