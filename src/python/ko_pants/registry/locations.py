"""Where a reply leads (`Location`), checked before anything is sent there."""

from __future__ import annotations

from typing import Callable

from ko_pants.oci.reference import Reference
from ko_pants.registry.endpoints import Origin, UnsafeUrl, check_followed, resolve_location
from ko_pants.registry.errors import RegistryError, printable
from ko_pants.registry.request import Reply


class Locations:
    """Resolves what a registry sends as the next URL.

    :param insecure_registries: `host[:port]` to which plain HTTP may lead.
    :param redact: takes secrets out of a text.
    """

    def __init__(self, insecure_registries: frozenset[str], redact: Callable[[str], str]) -> None:
        self._insecure = insecure_registries
        self._redact = redact

    def of(self, reply: Reply, ref: Reference) -> str | None:
        """The absolute URL of a reply's `Location`; None if it has none.

        :raises RegistryError: it must not be followed.
        """
        location = reply.headers.get("Location")
        return self.resolve(location, reply, ref) if location else None

    def resolve(self, location: str, reply: Reply, ref: Reference) -> str:
        """The absolute URL of a `location` that a reply names.

        :raises RegistryError: it must not be followed.
        """
        try:
            url = resolve_location(location, reply.url)
            check_followed(Origin.of(url), reply.origin, self._insecure)
        except UnsafeUrl as e:
            shown = self._redact(printable(location, 200))
            raise RegistryError(
                f"{sender(reply, ref)} sends an unsafe Location {shown!r}: {e}; nothing was sent "
                "there. Check the registry's configuration (its external URL)",
                status=reply.status,
            ) from None
        return url


def sender(reply: Reply, ref: Reference) -> str:
    """Who sent a reply to a request about `ref`: its registry, and the host if it is another."""
    netloc = reply.origin.netloc
    return ref.registry if netloc == ref.registry else f"{ref.registry} (at {netloc})"
