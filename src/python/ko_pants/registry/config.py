"""Everything a registry client is told by its caller; it reads no `os.environ` itself."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Callable, Mapping

from ko_pants.registry.retry import RetryPolicy


@dataclass(frozen=True)
class Clock:
    """Time and chance, so that tests need not wait."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


@dataclass(frozen=True)
class RegistryConfig:
    """Settings of one `RegistryClient`.

    `env` has HOME, DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, PATH (to
    find credential helpers, which get the whole of it), HTTP_PROXY, HTTPS_PROXY, ALL_PROXY,
    NO_PROXY and SSL_CERT_FILE where they are set. `insecure_registries` (`host[:port]`) may speak
    plain HTTP, as any loopback address may. `ca_certs_path` is a PEM bundle that replaces the
    system's. `client_certs` maps `host[:port]` to a PEM certificate and its key. Sizes are in
    bytes, times in seconds.
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
    # A reply that is slower than this over `stall_time` counts as broken.
    min_rate: int = 1024
    stall_time: float = 60.0
    chunk_threshold: int = 256 * 1024 * 1024
    chunk_size: int = 32 * 1024 * 1024
    clock: Clock = field(default_factory=Clock, repr=False, compare=False)
