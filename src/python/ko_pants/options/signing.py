"""Options of the program that signs images."""

from __future__ import annotations

from pants.option.option_types import IntOption, StrListOption, StrOption

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


class SigningOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

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
