"""What options and environment say. An option comes first, then ko's variable, then a default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Callable, TypeVar

from pants.core.util_rules.distdir import DistDir
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.rules import rule
from pants.option.global_options import GlobalOptions, NamedCachesDirOption
from pants.util.frozendict import FrozenDict

from ko_pants.artifacts.formats import (
    after_none,
    check_builder_id,
    check_invocation_id,
    parse_attachment,
    parse_sbom_formats,
)
from ko_pants.comma_lists import split_commas
from ko_pants.engine import environment_vars, ko_yaml
from ko_pants.errors import KoPantsError
from ko_pants.golang.private_environment import split_environment
from ko_pants.layers.encodings import LayerEncoding, encoding_of
from ko_pants.package_fields import check_formats
from ko_pants.products import HostTools, KoYamlRequest, LayerSettings, WantedArtifacts
from ko_pants.publishing.naming import default_repository
from ko_pants.publishing.registries import Registry, parse_registries
from ko_pants.rules.artifact_settings import ArtifactSettings
from ko_pants.rules.process_progress import process_progress
from ko_pants.subsystem import KoSubsystem

T = TypeVar("T")
V = TypeVar("V")

KO_DEFAULT_BASE = "cgr.dev/chainguard/static:latest"

_KO_VARIABLES = (
    "KOCACHE",
    "KO_DOCKER_REPO",
    "KO_DEFAULTBASEIMAGE",
    "KO_DEFAULTPLATFORMS",
    "KO_DATA_DATE_EPOCH",
    "SOURCE_DATE_EPOCH",
    "PATH",
)
_REGISTRY_VARIABLES = (
    "HOME",
    "PATH",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
)


@dataclass(frozen=True)
class Settings:
    """What the rules need of options and environment.

    :param image_refs: the file for the references of published images; empty if there is none.
    :param created: of the image, in seconds since the epoch; None if it is not set.
    :param kodata_created: of the files of kodata, likewise.
    :param debug: of targets that say nothing, like `disable_optimizations`.
    :param search_path: directories in which the `go` tool is looked for.
    :param named_caches: the directory of Pants' named caches.
    """

    base_image: str
    platforms: tuple[str, ...]
    default_repository: str
    registries: tuple[Registry, ...]
    docker_repo: str
    layout_path: str
    image_refs: str
    tag_only: bool
    full_digests: bool
    package_formats: tuple[str, ...]
    load_with: str
    kocache: str
    trust_foreign_layers: bool
    layer_encoding: LayerEncoding
    search_path: tuple[str, ...]
    created: int | None
    kodata_created: int | None
    debug: bool
    disable_optimizations: bool
    artifacts: ArtifactSettings
    named_caches: str


@dataclass(frozen=True)
class GoEnvironment:
    """The environment variables of Pants that `go build` gets.

    :param variables: those of its process.
    :param private_file: the name of a file in the named cache of toolchains.
    :param private_content: of this file: what may be secret, and does not decide the result.
    """

    variables: FrozenDict[str, str]
    private_file: str = ""
    private_content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class RegistryEnvironment:
    """What a registry client gets of options and environment. No process gets it."""

    variables: FrozenDict[str, str]
    insecure: tuple[str, ...]
    ca_certs_path: str | None

    def __repr__(self) -> str:
        return "RegistryEnvironment(...)"


def layer_settings(settings: Settings, tools: HostTools) -> LayerSettings:
    """What the rules need to find or make a layer."""
    return LayerSettings(
        python=tools.python,
        kocache=settings.kocache,
        trust_foreign=settings.trust_foreign_layers,
        worker_python=tools.layer_python,
    )


@rule
async def settings(
    ko: KoSubsystem, dist_dir: DistDir, named_caches: NamedCachesDirOption
) -> Settings:
    """Options first, then ko's environment variables, then `.ko.yaml`, then defaults."""
    # Not a part of the result: no step has to be done again because of it.
    process_progress.set_interval(progress_interval(ko))
    file = (await ko_yaml(KoYamlRequest())).configuration
    env = await environment_vars(EnvironmentVarsRequest(_KO_VARIABLES))
    path = tuple(entry for entry in env.get("PATH", "").split(os.pathsep) if entry)
    search = [
        p
        for entry in split_commas(ko.go_search_paths)
        for p in (path if entry == "<PATH>" else [entry])
    ]
    platforms = split_commas(ko.default_platforms or env.get("KO_DEFAULTPLATFORMS", "").split())
    created = _epoch(env, "SOURCE_DATE_EPOCH")
    return Settings(
        base_image=ko.default_base_image
        or env.get("KO_DEFAULTBASEIMAGE")
        or file.default_base_image
        or KO_DEFAULT_BASE,
        platforms=platforms or split_commas(file.default_platforms) or ("linux/amd64",),
        default_repository=default_repository(ko.naming or "", ko.default_repository),
        registries=parse_registries(ko.registries),
        docker_repo=ko.docker_repo or env.get("KO_DOCKER_REPO") or "",
        layout_path=ko.layout_path or str(dist_dir.relpath / "oci"),
        image_refs=ko.image_refs or "",
        tag_only=ko.tag_only,
        full_digests=ko.full_digests,
        package_formats=_package_formats(ko),
        load_with=ko.load_with,
        kocache=ko.kocache
        or env.get("KOCACHE")
        or os.path.join(str(named_caches.val), "ko_pants_kocache"),
        trust_foreign_layers=ko.trust_foreign_layers,
        layer_encoding=_layer_encoding(ko),
        search_path=tuple(search),
        created=created,
        kodata_created=_epoch(env, "KO_DATA_DATE_EPOCH"),
        debug=ko.debug,
        disable_optimizations=ko.disable_optimizations,
        artifacts=_artifact_settings(ko),
        named_caches=str(named_caches.val),
    )


@rule
async def go_environment(ko: KoSubsystem) -> GoEnvironment:
    """The variables of `[ko].go_env_vars`."""
    # A value can have commas in it.
    wanted = [
        name
        for entry in ko.go_env_vars
        for name in ([entry] if "=" in entry else split_commas([entry]))
    ]
    env = await environment_vars(EnvironmentVarsRequest(wanted))
    split = split_environment(env, (entry.partition("=")[0] for entry in wanted))
    return GoEnvironment(FrozenDict(split.public), split.file_name, split.file_content)


@rule
async def registry_environment(
    ko: KoSubsystem, global_options: GlobalOptions
) -> RegistryEnvironment:
    """Where credentials, proxies and certificates are found."""
    env = await environment_vars(
        EnvironmentVarsRequest((*_REGISTRY_VARIABLES, *split_commas(ko.registry_env_vars)))
    )
    return RegistryEnvironment(
        FrozenDict(env), split_commas(ko.insecure_registries), global_options.ca_certs_path
    )


def _checked(option: str, parse: Callable[[V], T], value: V) -> T:
    """What `parse` makes of the value of an option.

    :raises KoPantsError: it raises one; the text names the option.
    """
    try:
        return parse(value)
    except KoPantsError as e:
        raise KoPantsError(f"option [ko].{option}: {e}") from None


def progress_interval(ko: KoSubsystem) -> int:
    """Seconds between two lines of progress; 0 for none.

    :raises KoPantsError: the option is negative.
    """
    if ko.progress_interval < 0:
        raise KoPantsError(
            f"option [ko].progress_interval is {ko.progress_interval}; expected seconds, or 0 for "
            "no lines of progress"
        )
    return ko.progress_interval


def _package_formats(ko: KoSubsystem) -> tuple[str, ...]:
    formats = split_commas(ko.package_formats)
    _checked("package_formats", check_formats, formats)
    return formats


def _artifact_settings(ko: KoSubsystem) -> ArtifactSettings:
    builder_id, invocation_id = ko.provenance_builder_id or "", ko.provenance_invocation_id or ""
    if builder_id:
        _checked("provenance_builder_id", check_builder_id, builder_id)
    _checked("provenance_invocation_id", check_invocation_id, invocation_id)
    return ArtifactSettings(
        WantedArtifacts(
            _checked("sbom", parse_sbom_formats, after_none(split_commas(ko.sbom))),
            ko.provenance,
            builder_id,
            invocation_id,
        ),
        _checked("attach_sbom_as", parse_attachment, ko.attach_sbom_as),
        ko.verify_artifacts,
    )


def _layer_encoding(ko: KoSubsystem) -> LayerEncoding:
    encoding = _checked("layer_compression", encoding_of, ko.layer_compression)
    level = ko.layer_compression_level
    return _checked(
        "layer_compression_level",
        lambda level: LayerEncoding(encoding.name, level),
        encoding.default_level if level is None else level,
    )


def _epoch(env: FrozenDict[str, str], name: str) -> int | None:
    text = env.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise KoPantsError(
            f"the environment variable {name} is {text!r}; expected seconds since the epoch, "
            "a whole number such as 1700000000"
        )
    return int(text)
