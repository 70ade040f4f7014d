"""The options of the backend, scope `[ko]`."""

from __future__ import annotations

from typing import Any

from pants.option.option_types import (
    BoolOption,
    DictOption,
    IntOption,
    StrListOption,
    StrOption,
)
from pants.option.subsystem import Subsystem

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
# Where cosign finds its key's password and the identity of a CI job, and agents are reached.
_SIGNER_ENV_VARS = (
    "COSIGN_PASSWORD",
    "SIGSTORE_ID_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "SSH_AUTH_SOCK",
)
# How signatures of cosign 3 and of notation are known.
_SIGNER_ARTIFACT_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.cncf.notary.signature",
)
# What decides how modules are found, and what `go build` does.
_GO_ENV_VARS = (
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOSUMDB",
    "GOINSECURE",
    "GOFLAGS",
    "GOWORK",
    "GOEXPERIMENT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HOME",
    "NETRC",
    "GOAUTH",
    "SSH_AUTH_SOCK",
)


class KoSubsystem(Subsystem):
    options_scope = "ko"
    help = "OCI images of Go programs, without Docker (the `ko_pants` plugin)."

    class EnvironmentAware(Subsystem.EnvironmentAware):
        """Options that a target of one of Pants' environments can set: fields `ko_<option>`."""

        toolchain = StrOption(
            default="linked",
            help=(
                "Where processes have Go and Python from. `linked`: those of this machine, for "
                "processes that run here. `worker`: those on the PATH of the worker or container, "
                "see `worker_path`. `input`: the Go of `goroot`, and the worker's Python; where no "
                "workers are, the Python that runs Pants."
            ),
        )
        go_version = StrOption(
            default=None,
            help=(
                "The version of Go on the workers, for the toolchain `worker`. A worker with "
                "another one is an error, and another version is another cache key.\n\n"
                "Default: none; the toolchain `worker` needs it. Example: `1.26.8`."
            ),
        )
        go_build_id = StrOption(
            default=None,
            advanced=True,
            help=(
                "The build id (`go tool buildid`) that the go command on the workers must have, "
                "for a Go that was patched and has the version of another.\n\n"
                "Default: it is not compared. Example: what `go tool buildid $(go env "
                "GOROOT)/bin/go` prints."
            ),
        )
        worker_path = StrListOption(
            default=["/usr/local/go/bin", "/usr/local/bin", "/usr/bin", "/bin"],
            help=(
                "The PATH of processes on workers, as a list of directories, for the toolchains "
                "`worker` and `input`."
            ),
        )
        worker_python = StrOption(
            default=None,
            help=(
                "The Python on workers that makes layers: a name on `worker_path`, or a path. It "
                "must have the minor version of the Python that runs Pants.\n\n"
                "Default: `python3.9` where Pants runs with CPython 3.9, and so on. Example: "
                "`/opt/python/bin/python3.9`."
            ),
        )
        module_downloads = StrOption(
            default="local",
            help=(
                "Where Go modules are downloaded for the toolchains `worker` and `input`: `local` "
                "(by the Go of this machine, with its credentials), or `worker`."
            ),
        )
        goroot = StrOption(
            default=None,
            help=(
                "The address of a target with a Go toolchain for the platform of the workers, for "
                "the toolchain `input`.\n\n"
                "Default: none; the toolchain `input` needs it. Example: `//toolchains:go`."
            ),
        )

    config_path = StrOption(
        default=None,
        help=(
            "The `.ko.yaml`, or its directory, relative to the build root. What it says are "
            "defaults, below options and fields. An empty text means that none is read.\n\n"
            "Default: `$KO_CONFIG_PATH`, else `.ko.yaml` at the build root, if there is one. "
            "Example: `config/.ko.yaml`."
        ),
    )
    default_base_image = StrOption(
        default=None,
        help=(
            "The base image of targets without `base_image`: a reference, the address of an "
            "`oci_base_image`, `oci:<directory>` or `scratch`.\n\n"
            "Default: `$KO_DEFAULTBASEIMAGE`, else ko's `cgr.dev/chainguard/static:latest`. "
            "Example: `//images:static`."
        ),
    )
    default_platforms = StrListOption(
        default=[],
        help=(
            "The platforms of targets without `platforms`, as `os/arch[/variant]`, or `all`. "
            "Commas separate several, as in ko.\n\n"
            "Default: `$KO_DEFAULTPLATFORMS`, else `linux/amd64`. Example: `['linux/amd64', "
            "'linux/arm64']`."
        ),
    )
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
    sbom = StrListOption(
        default=[],
        help=(
            "The formats of the SBOMs of targets without `sbom`: `spdx`, `cyclonedx` or both. "
            "`publish` attaches them to the image, and `package` writes them beside it. `none` is "
            "the empty list, as in ko. Example: `['spdx']`."
        ),
    )
    provenance = BoolOption(
        default=False,
        help=(
            "If true, images of targets without `provenance` have one: an in-toto statement with a "
            "SLSA v1 predicate, which `publish` attaches and `package` writes."
        ),
    )
    provenance_builder_id = StrOption(
        default=None,
        help=(
            "`builder.id` of provenance: a URI that names who builds.\n\n"
            "Default: `urn:ko-pants:builder:unnamed`. Example: "
            "`https://ci.example.com/builders/main`."
        ),
    )
    provenance_invocation_id = StrOption(
        default=None,
        help=(
            "`invocationId` of provenance: what names this run.\n\n"
            "Default: none, so that equal images have equal provenance. Example: "
            "`https://ci.example.com/runs/17`."
        ),
    )
    attach_sbom_as = StrOption(
        default="referrers",
        help=(
            "How SBOMs are attached to an image in a registry: `referrers` (OCI 1.1: manifests "
            "with a `subject`), or `tags` (the tags `sha256-<hex>.sbom` of ko and cosign, for SPDX "
            "only)."
        ),
    )
    verify_artifacts = BoolOption(
        default=False,
        help=(
            "If true, `publish` also asks for SBOMs and provenance of images that are up to date, "
            "and attaches what is missing. Without it, an unchanged image costs one request."
        ),
    )
    image_refs = StrOption(
        default=None,
        help=(
            "A file for the references of all images that are published or up to date, one a line, "
            "as with ko's `--image-refs`: by digest, an index followed by its children. The path "
            "is relative to the build root. The file is written at the end of a run in which "
            "nothing failed.\n\n"
            "Default: none is written. Example: `dist/refs`."
        ),
    )
    report = StrOption(
        default=None,
        help=(
            "A file for what a run of `publish` did for all images together, as JSON: images, "
            "compiles and layers by outcome, requests, bytes and seconds. The path is relative to "
            "the build root.\n\n"
            "Default: none is written. Example: `dist/report.json`."
        ),
    )
    progress_interval = IntOption(
        default=5,
        help=(
            "Seconds between two lines that say how far uploads and long processes are. Nothing is "
            "said of what takes less time. 0: no such lines."
        ),
    )
    full_digests = BoolOption(
        default=False,
        help=(
            "If true, the lines of `publish` show all 64 digits of a digest, and not only the "
            "first 12. `image_refs` and `--publish-output` always have all of them."
        ),
    )
    page = StrOption(
        default=None,
        help=(
            "A file for what a run of `publish` did, as an HTML page that needs no other file: "
            "every image with its layers, sizes and outcomes, and when each step was done. The "
            "path is relative to the build root.\n\n"
            "Default: none is written. Example: `dist/publish.html`."
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
    run_with = StrOption(
        default="auto",
        help=(
            "What `run` runs an image with: `docker`, `podman`, `executable` (the program of this "
            "platform without a container), or `auto`. `auto` means docker if it has a daemon "
            "here, else podman, else docker, whichever is on the PATH; `executable` if none is."
        ),
    )
    load_with = StrOption(
        default="auto",
        help=(
            "What images are loaded with where `$KO_DOCKER_REPO` is `ko.local`: `docker`, `podman` "
            "or `auto`, as for `run_with`."
        ),
    )
    run_args = StrListOption(
        default=[],
        help=(
            "Arguments of `docker run` or `podman run` for `run`, beside `--rm`, `-i` and, on a "
            "terminal, `-t`. Example: `['--network=host']`."
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
    signer = StrListOption(
        default=[],
        help=(
            "The command that signs images, as a list: its first element is a command on the PATH, "
            "or a path with a `/` relative to the build root, and `{reference}` in the others "
            "stands for the image. It runs for each image and repository whose tags move.\n\n"
            "Default: images are not signed. Example:\n\n"
            '    signer = ["cosign", "sign", "--yes", "--key", "cosign.key", "{reference}"]'
        ),
    )
    sign = StrOption(
        default="before_tags",
        help=(
            "When images are signed: `before_tags`, so that no tag names an image without a "
            "signature, or `after_tags`, for signers that want a tag."
        ),
    )
    signer_env_vars = StrListOption(
        default=[*_SIGNER_ENV_VARS],
        advanced=True,
        help=(
            "Environment variables for the signer, beside those of credential helpers: `NAME` "
            "copies the value of Pants' environment, `NAME=value` sets it. Example: "
            "`signer_env_vars.add = ['COSIGN_EXPERIMENTAL=1']` in pants.toml."
        ),
    )
    signer_concurrency = IntOption(
        default=8, advanced=True, help="How many processes of the signer run at a time."
    )
    signer_timeout = IntOption(
        default=120,
        advanced=True,
        help="After how many seconds a process of the signer is ended. Its image has then failed.",
    )
    signer_artifact_types = StrListOption(
        default=[*_SIGNER_ARTIFACT_TYPES],
        advanced=True,
        help=(
            "Artifact types of signatures. With `verify_artifacts`, an image that is up to date is "
            "signed if it has no referrer of these types. Example: "
            "`['application/vnd.cncf.notary.signature']`."
        ),
    )
    kocache = StrOption(
        default=None,
        help=(
            "The directory of the KOCACHE maps.\n\n"
            "Default: `$KOCACHE`, else a directory in Pants' named caches. Example: "
            "`/var/cache/kocache`."
        ),
    )
    trust_foreign_layers = BoolOption(
        default=False,
        help=(
            "If true, a layer descriptor is used that another producer (ko, another version of the "
            "compressor) left in KOCACHE. It is off by default, so that the same sources give the "
            "same image digest on every machine."
        ),
    )
    layer_compression = StrOption(
        default="gzip",
        help="How layers are compressed: `gzip` (libdeflate), `zstd`, `none` or `estargz`.",
    )
    layer_compression_level = IntOption(
        default=None,
        help=(
            "The level of the compression: 1 to 12 for gzip and estargz, 1 to 22 for zstd.\n\n"
            "Default: 1 for gzip and estargz, 3 for zstd. Example: `9`."
        ),
    )
    debug = BoolOption(
        default=False,
        help=(
            "If true, images of targets without `debug` have the debugger Delve, as with ko's "
            "`--debug`. `--ko-debug` does it for one run."
        ),
    )
    disable_optimizations = BoolOption(
        default=False,
        help=(
            "If true, programs of targets without `disable_optimizations` are compiled for a "
            "debugger, as with ko's `--disable-optimizations`."
        ),
    )
    tailor = BoolOption(
        default=False,
        help=(
            "If true, `tailor` proposes targets of this plugin: a `go_oci_image` for each main "
            "package that has none, a `go_sources` for each `go.mod` that nobody owns, and a "
            "`kubernetes_manifests` for each directory with YAML files that nobody owns and that "
            "have `ko://` in them. `--ko-tailor` does it for one run."
        ),
    )
    skip_check = BoolOption(
        default=False,
        help=(
            "If true, `check` does not compile or vet the programs of any image. The field "
            "`skip_check` leaves out one."
        ),
    )
    go_vet = BoolOption(
        default=True,
        help=(
            "If true, `check` also runs `go vet` on the packages of the repository that a program "
            "is made of."
        ),
    )
    go_vet_args = StrListOption(
        default=[],
        advanced=True,
        help=(
            "Flags that choose the checks of `go vet`; `go tool vet help` lists them. Example: "
            "`['-copylocks=false']`."
        ),
    )
    go_search_paths = StrListOption(
        default=["<PATH>"],
        help=(
            "Directories to search for the `go` tool (1.21 or newer), in this order. `<PATH>` "
            "stands for the PATH of Pants' environment. Example: `['/opt/go/bin', '<PATH>']`."
        ),
    )
    go_env_vars = StrListOption(
        default=[*_GO_ENV_VARS],
        advanced=True,
        help=(
            "Environment variables for `go build`: `NAME` copies the value of Pants' environment, "
            "`NAME=value` sets it. Those of Go (`GO...`, `CGO_...`) and PATH are part of the cache "
            "key, without user and password in URLs; all others are not. Example: `go_env_vars.add "
            "= ['GOFIPS140']` in pants.toml."
        ),
    )
