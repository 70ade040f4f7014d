"""The settings of a registry client. The client itself does not read `os.environ`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Mapping

from ko_pants.registry.clock import Clock
from ko_pants.registry.retry import RetryPolicy

if TYPE_CHECKING:
    from ko_pants.registry.kept_connections import KeptConnections


@dataclass(frozen=True)
class RegistryConfig:
    """Settings of one `RegistryClient`. Sizes are in bytes, times in seconds.

    `env` has these variables where they are set: HOME, DOCKER_CONFIG, REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR, XDG_CONFIG_HOME, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE,
    and PATH, where credential helpers are found. A helper gets all of `env`.

    `insecure_registries` (`host[:port]`) may speak plain HTTP; a loopback address always may.
    `ca_certs_path` is a PEM bundle that replaces the system's authorities. `client_certs` maps
    `host[:port]` to the paths of a PEM certificate and its key.

    `kept` are the connections of earlier clients, which gets those of this one when it is closed;
    None: they are closed.
    """

    env: Mapping[str, str] = field(repr=False)
    insecure_registries: frozenset[str] = frozenset()
    ca_certs_path: str | None = None
    client_certs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    user_agent: str = "ko-pants"
    per_host_connections: int = 16
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009 (frozen)
    connect_timeout: float = 20.0
    read_timeout: float = 60.0
    # A registry may move a blob of gigabytes to its final place before it answers.
    commit_timeout: float = 300.0
    # A reply with fewer than `min_rate` bytes a second over `stall_time` counts as broken.
    min_rate: int = 1024
    stall_time: float = 60.0
    # A blob that is larger than `chunk_threshold` is uploaded in chunks of `chunk_size`.
    chunk_threshold: int = 256 * 1024 * 1024
    chunk_size: int = 32 * 1024 * 1024
    clock: Clock = field(default_factory=Clock, repr=False, compare=False)
    kept: KeptConnections | None = field(default=None, repr=False, compare=False)
