"""What the registry tests share: time that need not pass, auth files, small clients."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import fault_registry

from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.registry.client import Clock, RegistryClient, RegistryConfig


class FakeTime:
    """A clock that goes on only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Sleep, at once."""
        self.slept.append(seconds)
        self.now += seconds

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def clock(self) -> Clock:
        """As the client wants it; chance is fixed."""
        return Clock(monotonic=lambda: self.now, sleep=self.sleep, random=lambda: 0.5)


def client_for(
    env: dict[str, str], time: FakeTime | None = None, **settings: Any
) -> RegistryClient:
    """A client which waits for nothing."""
    clock = (time or FakeTime()).clock()
    return RegistryClient(RegistryConfig(env, clock=clock, **settings))


def auth_env(directory: Path, host: str, password: str = fault_registry.PASSWORD) -> dict[str, str]:
    """An environment whose docker config has the password for a host."""
    auth = base64.b64encode(f"{fault_registry.USERNAME}:{password}".encode()).decode()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"HOME": str(directory), "DOCKER_CONFIG": str(directory)}


def descriptor_of(content: bytes, media_type: str) -> Descriptor:
    """The descriptor of some bytes."""
    return Descriptor(media_type, sha256_digest(content), len(content))
