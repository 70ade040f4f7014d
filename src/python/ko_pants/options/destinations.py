"""Options that say where images go, and by which names."""

from __future__ import annotations

from typing import Any

from pants.option.option_types import BoolOption, DictOption, StrListOption, StrOption

from ko_pants.publishing.naming import DEFAULT_REPOSITORY

# Where credential helpers of the large clouds look.
_REGISTRY_ENV_VARS = (
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "USER",
    "DBUS_SESSION_BUS_ADDRESS",
)


class DestinationOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    default_repository = StrOption(
        default=DEFAULT_REPOSITORY,
        help=(
            "The repository of targets without `repository`. Placeholders, as in the field: "
            "`{name}`, `{directory}`, `{parent_directory}`, `{full_directory}`, `{import_path}`, "
            "`{base}`, `{md5}` and `{pants.hash}`. Example: `shop/{full_directory}`."
        ),
    )
    naming = StrOption(
        default=None,
        help=(
            "One of ko's ways to name the repository of targets without `repository`, in place of "
            "`default_repository`: `md5` (`{base}-{md5}`, ko's default), `preserve-import-paths` "
            "(`{import_path}`), `base-import-paths` (`{base}`), or `bare` (`$KO_DOCKER_REPO` alone "
            "names the image).\n\n"
            "Default: none, so that `default_repository` counts. Example: `base-import-paths`."
        ),
    )
    registries = DictOption[Any](
        default={},
        fromfile=True,
        help=(
            "Registries to publish to, by alias, as in Pants' `[docker].registries`. A target "
            "names this one as `registries=['@prod']`:\n\n"
            '    [ko.registries.prod]\n    address = "registry.example.com"\n    default = true\n'
            '    repository = "shop/{name}"\n    extra_image_tags = ["stable"]\n'
            "    skip_push = false\n    use_local_alias = false"
        ),
    )
    docker_repo = StrOption(
        default=None,
        help=(
            "Where images of targets without a registry are published: `<registry>/<path>`. The "
            "repository is appended.\n\n"
            "Default: `$KO_DOCKER_REPO`. Example: `registry.example.com/team`."
        ),
    )
    layout_path = StrOption(
        default=None,
        help=(
            "The OCI image layout to publish to where no registry is named, relative to the build "
            "root.\n\n"
            "Default: `oci` below `--pants-distdir`. Example: `build/images`."
        ),
    )
    package_formats = StrListOption(
        default=[],
        help=(
            "What `package` writes of every image beside the descriptors, with the bytes of all "
            "layers: `oci-layout`, `oci-archive` or `docker-archive`, as in the field. Example: "
            "`['oci-archive']`."
        ),
    )
    tag_only = BoolOption(
        default=False,
        help=(
            "If true, references in `image_refs` and `--publish-output` have the tag and no "
            "digest, as with ko's `--tag-only`. Every image must have exactly one tag, which is "
            "not `latest`."
        ),
    )
    insecure_registries = StrListOption(
        default=[],
        help=(
            "Registries (`host[:port]`) that may be spoken to without TLS. Loopback addresses "
            "always may. Example: `['registry.test:5000']`."
        ),
    )
    registry_env_vars = StrListOption(
        default=[*_REGISTRY_ENV_VARS],
        advanced=True,
        help=(
            "Environment variables that credential helpers get, beside HOME, PATH and those that "
            "say where credentials and proxies are. They are part of no cache key. Example: "
            "`registry_env_vars.add = ['VAULT_ADDR']` in pants.toml."
        ),
    )
