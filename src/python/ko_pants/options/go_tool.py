"""Options of the `go` tool, and of the goals that ask it."""

from __future__ import annotations

from pants.option.option_types import BoolOption, StrListOption

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


class GoOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

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
    tailor = BoolOption(
        default=False,
        help=(
            "If true, `tailor` proposes targets of this plugin: a `go_oci_image` for each main "
            "package that has none, a `go_sources` for each `go.mod` that nobody owns, and a "
            "`kubernetes_manifests` for each directory with YAML files that nobody owns and that "
            "have `ko://` in them. `--ko-tailor` does it for one run."
        ),
    )
