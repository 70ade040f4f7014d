"""The registry client of a run. All rules of the run share its connections and tokens."""

from __future__ import annotations

import threading

from pants.engine.rules import _uncacheable_rule

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.kept_connections import KeptConnections
from ko_pants.rules.settings import RegistryEnvironment


class RegistryAccess:
    """The client of this run, and what the tags of base images name in it."""

    def __init__(self, client: RegistryClient) -> None:
        self.client = client
        self._tags: dict[Reference, Descriptor] = {}
        self._lock = threading.Lock()

    def resolve_tag(self, reference: Reference) -> Descriptor:
        """What a tag names; the registry is asked once per run.

        :raises KoPantsError: the tag names nothing, or the registry cannot be reached.
        """
        with self._lock:
            found = self._tags.get(reference)
            if found is None:
                found = self.client.session().head_manifest(reference)
                if found is None:
                    raise KoPantsError(
                        f"base image {reference}: not found on {reference.registry}. Check the "
                        "name and tag, and that you may read it (log in with `docker login` or "
                        "`podman login`)"
                    )
                self._tags[reference] = found
            return found


_clients: BoundedMemory[str, RegistryClient] = BoundedMemory(
    name="rules.registry_access: client",
    bound=1,
    holds="the client of the last run, so that the next run takes its connections",
)

_MAX_ORIGINS = 8

_connections = KeptConnections(
    BoundedMemory(
        name="rules.registry_access: connections",
        bound=_MAX_ORIGINS,
        holds="idle connections to registries, a few for each, closed after three minutes; they "
        "carry no credentials of requests, and are found only by who would open the same: the key "
        "has the server, the proxy and the state of all certificate files",
    )
)


@_uncacheable_rule
async def registry_access(environment: RegistryEnvironment) -> RegistryAccess:
    """A new client for every run, so that credentials and tokens are read anew.

    It gets the connections of the last one.
    """
    previous = _clients.pop("last")
    if previous is not None:
        previous.close()
    client = RegistryClient(
        RegistryConfig(
            env=dict(environment.variables),
            insecure_registries=frozenset(environment.insecure),
            ca_certs_path=environment.ca_certs_path,
            kept=_connections,
        )
    )
    _clients.put("last", client)
    return RegistryAccess(client)
