"""What the registry tests share: time that need not pass, auth files, clients, stubs of steps."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any, BinaryIO

import fault_registry

from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import Actions, Scopes, repository_scopes
from ko_pants.registry.client import Clock, RegistryClient, RegistryConfig
from ko_pants.registry.request import Reply, Request


class FakeTime:
    """A clock that advances only when the code sleeps, or when a test advances it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Advance the clock, without any wait."""
        self.slept.append(seconds)
        self.now += seconds

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds

    def clock(self) -> Clock:
        """The clock for a client. Its random numbers are fixed, and its Unix time is this time."""
        return Clock(
            monotonic=lambda: self.now,
            wall=lambda: self.now,
            sleep=self.sleep,
            random=lambda: 0.5,
        )


def client_for(
    env: dict[str, str], time: FakeTime | None = None, **settings: Any
) -> RegistryClient:
    """A client that never waits."""
    fake = (time or FakeTime()).clock()
    # Dates in replies of the fault registry are real ones.
    clock = Clock(monotonic=fake.monotonic, sleep=fake.sleep, random=fake.random)
    return RegistryClient(RegistryConfig(env, clock=clock, **settings))


def auth_env(directory: Path, host: str, password: str = fault_registry.PASSWORD) -> dict[str, str]:
    """An environment whose docker config has the password for a host."""
    auth = base64.b64encode(f"{fault_registry.USERNAME}:{password}".encode()).decode()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"HOME": str(directory), "DOCKER_CONFIG": str(directory)}


# Contents


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Random bytes; equal arguments give equal bytes."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")


def descriptor_of(content: bytes, media_type: str) -> Descriptor:
    """The descriptor of some bytes."""
    return Descriptor(media_type, sha256_digest(content), len(content))


def layer_of(content: bytes) -> Descriptor:
    """The descriptor of some bytes as a layer."""
    return descriptor_of(content, media_types.OCI_LAYER_TAR)


def manifest_of(*layers: bytes, **more: Any) -> tuple[Descriptor, bytes]:
    """A manifest with an empty config, and its descriptor."""
    obj = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor_of(b"{}", media_types.OCI_EMPTY).to_json(),
        "layers": [layer_of(layer).to_json() for layer in layers],
        **more,
    }
    content = json.dumps(obj).encode()
    return descriptor_of(content, media_types.OCI_MANIFEST), content


def never_opened() -> BinaryIO:
    """The `open_blob` of a blob whose bytes must not be asked for."""
    raise AssertionError("the bytes were asked for")


# Stubs of steps


class StubSession:
    """Counts requests; asks for the scopes of what a request does."""

    def __init__(self) -> None:
        self.requests = 0

    def count(self) -> None:
        """One more request."""
        self.requests += 1

    def fetched(self, size: int) -> None:
        """Bytes of a body."""

    def scopes_for(self, ref: Reference, actions: Actions) -> Scopes:
        """The scopes of these actions."""
        return repository_scopes(ref.repository, actions)


class StubStep:
    """The next step: it answers each request with the next outcome, and remembers the requests.

    An outcome is a reply, or an exception that is raised. The last one is repeated.
    """

    def __init__(self, *outcomes: Reply | Exception) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[Request] = []

    @property
    def urls(self) -> list[str]:
        """Where the requests went."""
        return [request.url for request in self.requests]

    def send(self, request: Request) -> Reply:
        """Answer a request."""
        self.requests.append(request)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def request_to(url: str, method: str = "GET", **more: Any) -> Request:
    """A request of a stub session about `r.io/app:v1`."""
    return Request(StubSession(), method, Reference("r.io", "app", "v1"), url, **more)


def reply_of(
    status: int, url: str = "https://r.io/v2/", body: bytes = b"", **headers: str
) -> Reply:
    """A reply; `_` in the names of headers stands for `-`."""
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, url, body)
