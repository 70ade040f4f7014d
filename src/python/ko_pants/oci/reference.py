"""Image references: `host[:port]/repository[:tag][@digest]` (OCI distribution-spec, pull)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import is_digest

_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
)

# What stands behind an @ in a reference, however malformed: a digest, in whatever form.
_DIGEST_LIKE = re.compile(r"sha[0-9]+(?::|$)|[A-Za-z0-9+._-]+:[0-9a-fA-F]{16,}$")
_UP_TO_AT = re.compile(r"\A(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?.*@", re.DOTALL)

_MAX_REPOSITORY_CHARACTERS = 255

DOCKER_HUB = "index.docker.io"


@dataclass(frozen=True)
class Reference:
    """A repository on a registry, with a tag, a digest, both, or neither.

    :param registry: `host[:port]`.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        text = f"{self.registry}/{self.repository}" if self.registry else self.repository
        if self.tag:
            text += f":{self.tag}"
        if self.digest:
            text += f"@{self.digest}"
        return text

    @property
    def identifier(self) -> str:
        """What a manifest request asks for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag."""
        return replace(self, tag=tag, digest="")

    def with_digest(self, digest: str) -> Reference:
        """The same repository by digest alone."""
        return replace(self, tag="", digest=digest)

    @classmethod
    def parse(cls, text: str, *, default_tag: str = "latest") -> Reference:
        """Read a reference as docker, crane and ko do: no host means Docker Hub.

        :param default_tag: the tag where the text has neither a tag nor a digest.
        :raises KoPantsError: the text is malformed; the message says which part and why.
        """
        _refuse_credentials(text)
        rest, at, digest = text.partition("@")
        if at and not is_digest(digest):
            raise KoPantsError(
                f"malformed reference {text!r}: expected `sha256:` and 64 hex digits after the @, "
                f"found {digest!r}"
            )
        head, slash, tail = rest.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost"):
            registry, path = head, tail
        else:
            registry, path = DOCKER_HUB, rest
        path, colon, tag = path.partition(":")
        if registry in ("docker.io", "registry-1.docker.io"):
            registry = DOCKER_HUB
        if registry == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        check_registry(registry, text)
        check_repository(path, text)
        if colon:
            check_tag(tag, text)
        return cls(registry, path, tag if colon else ("" if digest else default_tag), digest)


def hide_credentials(text: str) -> str:
    """`text` with `***` for what stands before an @: in a URL that is a user, often a password.

    For messages about text that is malformed, so that everything before the @ may be secret.
    """
    return _UP_TO_AT.sub(r"\g<scheme>***@", text)


def _refuse_credentials(*texts: str) -> None:
    for text in texts:
        name, *behind = text.split("@")
        if behind == [""] and ":" not in name:
            continue
        if not all(map(_DIGEST_LIKE.match, behind)):
            raise KoPantsError(
                f"malformed reference {hide_credentials(text)!r}: a user or password before an @ "
                "is not read; remove it, and have credentials where `docker login` writes them "
                "(~/.docker/config.json)"
            )


def check_registry(registry: str, reference: str) -> None:
    """Check a registry; `reference` is for the message.

    :raises KoPantsError: `registry` is no `host[:port]`. The text has no credentials in it.
    """
    _refuse_credentials(reference, registry)
    if not _HOST.fullmatch(registry):
        found = f"found {registry!r}"
        if reference.startswith(("https://", "http://")):
            found = f"found a URL; leave out {reference.partition('//')[0]}//"
        raise KoPantsError(
            f"malformed reference {reference!r}: expected a registry `host[:port]`, {found}"
        )


def check_repository(repository: str, reference: str) -> None:
    """Check a repository; `reference` is for the message.

    :raises KoPantsError: `repository` is no repository name of the distribution-spec. If
        `reference` has credentials, the text is without.
    """
    _refuse_credentials(reference)
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _MAX_REPOSITORY_CHARACTERS:
        raise KoPantsError(
            f"malformed reference {reference!r}: the repository {repository!r} must be lower-case "
            "letters and digits, separated by single `.`, `_`, `__`, `-` or `/`"
        )


def check_tag(tag: str, reference: str) -> None:
    """Check a tag; `reference` is for the message.

    :raises KoPantsError: `tag` is no tag of the distribution-spec.
    """
    if not _TAG.fullmatch(tag):
        raise KoPantsError(
            f"malformed reference {reference!r}: the tag {tag!r} must be at most 128 letters, "
            "digits, `_`, `.` and `-`, and not begin with `.` or `-`"
        )
