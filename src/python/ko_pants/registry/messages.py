"""Errors in words for the user: what a registry or its token server refused, and what may help."""

from __future__ import annotations

from typing import Protocol

from ko_pants.oci.reference import Reference
from ko_pants.registry.connections import Connections
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.errors import (
    MissingBlobsError,
    RegistryError,
    decode_errors,
    named_digests,
)
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Reply, Request, TransferFailure

_MISSING_CODES = frozenset(
    {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED"}
)


class StepMessages(Protocol):
    """The errors of the steps; they differ between a registry and its token server."""

    def too_large(self, request: Request, problem: Exception) -> RegistryError:
        """The error for a reply that is larger than allowed."""

    def unreachable(
        self, request: Request, failure: TransferFailure, gave_up: str
    ) -> RegistryError:
        """The error for a request that got no reply; `gave_up` says why it is not tried again."""


class RegistryMessages:
    """Errors for requests to registries."""

    def __init__(
        self,
        connections: Connections,
        contacts: Contacts,
        credentials: CredentialStore,
        redact: Redactor,
    ) -> None:
        self._connections = connections
        self._contacts = contacts
        self._credentials = credentials
        self._redact = redact

    def too_large(self, request: Request, problem: Exception) -> RegistryError:
        """See `StepMessages`."""
        return RegistryError(
            f"{request.ref.registry}: the reply to {request.method} for {request.ref} is not "
            f"acceptable: {problem}"
        )

    def unreachable(
        self, request: Request, failure: TransferFailure, gave_up: str
    ) -> RegistryError:
        """See `StepMessages`."""
        return self.no_reply(request.ref, failure, gave_up)

    def no_reply(self, ref: Reference, failure: TransferFailure, gave_up: str) -> RegistryError:
        """The error for a request about `ref` that got no reply."""
        origin = failure.origin or self._contacts.of(ref.registry).home
        where = ref.registry
        if origin.netloc != where:
            where += f" (at {origin.netloc})"
        text = f"cannot reach the registry {where} for {ref}: {failure}"
        text += f" ({gave_up})" if gave_up else ""
        if failure.permanent:
            hint = ""
        elif failure.tls:
            hint = (
                f"if it speaks plain HTTP only, add {ref.registry} to the option "
                "[ko].insecure_registries"
            )
        elif failure.connect:
            hint = "check the host's name and port, and the network"
            proxied = self._connections.proxy_for(origin)
            hint += ", or the proxy that the environment names" if proxied else ""
        else:
            hint = "check the network and the registry's log, and run again"
        return RegistryError(self._redact(text + (f". Hint: {hint}" if hint else "")))

    def refusal(self, reply: Reply, ref: Reference, doing: str) -> RegistryError:
        """The error for a reply that refuses; `doing` is for example `pull the manifest`."""
        errors = decode_errors(reply.body)
        codes = tuple(e.code.upper() for e in errors if e.code)
        said = "; ".join(str(e) for e in errors)
        status = reply.status
        text = f"{ref.registry} refuses to {doing} {ref}: HTTP {status}"
        text += f" ({said})" if said else ""
        text += f"; {reply.note}" if reply.note else ""
        hint = self._hint(reply, ref, codes)
        text = self._redact(text + (f". Hint: {hint}" if hint else ""))
        if status in (400, 404, 422) and _MISSING_CODES & set(codes):
            return MissingBlobsError(
                text, status=status, codes=codes, digests=named_digests(reply.body)
            )
        return RegistryError(text, status=status, codes=codes)

    def _hint(self, reply: Reply, ref: Reference, codes: tuple[str, ...]) -> str:
        status = reply.status
        if reply.origin != self._contacts.of(ref.registry).home:
            return f"this is the answer of {reply.origin.netloc}, where it sent us"
        if status in (401, 403):
            if self._contacts.of(ref.registry).challenge is None:
                return (
                    "the registry did not ask who we are (it sent no challenge, nor does it at "
                    "/v2/), so no credentials were sent; check the address, and what stands before "
                    "the registry"
                )
            whose = self._credentials.describe(ref.registry, ref.repository)
            may = "; check that they may do this in this repository" if status == 403 else ""
            return whose + may
        if status == 404 and "NAME_UNKNOWN" in codes:
            return "some registries want a repository to be created before the first push"
        if status == 413:
            return "a proxy before the registry limits the size of requests; raise its limit"
        if status == 429:
            return "it limits the rate of requests; log in, or try again later"
        return "the registry has a problem; try again later" if status >= 500 else ""


class TokenServerMessages:
    """Errors for requests to token servers."""

    def too_large(self, request: Request, problem: Exception) -> RegistryError:
        """See `StepMessages`."""
        return RegistryError(
            f"{request.ref.registry}: the reply of its token server {request.origin.netloc} is "
            f"not acceptable: {problem}"
        )

    def unreachable(
        self, request: Request, failure: TransferFailure, gave_up: str
    ) -> RegistryError:
        """See `StepMessages`."""
        tried = f" ({gave_up})" if gave_up else ""
        return RegistryError(
            f"{request.ref.registry}: cannot reach its token server {request.origin.netloc}: "
            f"{failure}{tried}. Hint: check the network and its proxies"
        )
