"""The client as a whole: hosts that are down, slow or odd, and what is shared by a run."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from fault_registry import FaultRegistry
from registry_support import FakeTime, client_for, layer_of, manifest_of

from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryError
from ko_pants.registry.retry import RetryPolicy


def test_nobody_listens() -> None:
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="it refuses connections") as caught:
        session.head_manifest(Reference("127.0.0.1:9", "app", "v1"))
    assert "127.0.0.1:9" in str(caught.value)
    assert caught.value.status == 0


def test_a_proxy_is_used_and_its_password_is_not_shown(
    registry: FaultRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    # The registry plays the proxy: what arrives there has the whole URL.
    env = {"http_proxy": f"http://user:canary-pw@{registry.host}", "NO_PROXY": "else.lan"}
    client = client_for(env, insecure_registries=frozenset({"r.lan"}))
    assert client.session().head_manifest(Reference("r.lan", "app", "v1")) is None
    assert registry.seen[0].path == "http://r.lan/v2/app/manifests/v1"
    assert "Proxy-Authorization" in registry.seen[0].headers
    registry.fail("HEAD manifest", "reset before", None)
    with pytest.raises(RegistryError, match="proxy") as caught:
        client.session().head_manifest(Reference("r.lan", "app", "v1"))
    assert "canary" not in caplog.text + str(caught.value)


@pytest.mark.parametrize("endpoint", ["PUT upload", "PUT tag"])
def test_a_registry_that_is_down_is_not_hammered(registry: FaultRegistry, endpoint: str) -> None:
    registry.put_blob("app", b"{}")
    for each in ("PUT upload", "PUT tag", "HEAD blob", "HEAD manifest"):
        registry.fail(each, "500", None)
    session = client_for({}).session()
    app = Reference(registry.host, "app", "v1")
    push: dict[str, Callable[[], object]] = {
        "PUT tag": lambda: session.put_manifest(app, *manifest_of()),
        "PUT upload": lambda: session.push_blob(
            app, layer_of(b"xyz"), lambda: io.BytesIO(b"xyz"), known_missing=True
        ),
    }
    with pytest.raises(RegistryError):
        push[endpoint]()
    assert registry.count(endpoint) == 6
    # After the first refusal, its bytes go with a PATCH.
    assert session.requests <= 20


def test_a_silent_registry_times_out(registry: FaultRegistry) -> None:
    with_timeouts = client_for({}, read_timeout=0.05, retry=RetryPolicy(attempts=2))
    registry.fail("HEAD manifest", "silent", 2)
    with pytest.raises(RegistryError, match="timed out"):
        with_timeouts.session().head_manifest(Reference(registry.host, "app", "v1"))


def test_retry_after_paces_every_request_to_the_host(registry: FaultRegistry) -> None:
    time = FakeTime()
    client = client_for({}, time)
    registry.fail("HEAD manifest", "429 seconds", 1)
    app = Reference(registry.host, "app", "v1")
    assert client.session().head_manifest(app) is None
    assert 7 <= sum(time.slept) < 9


def test_the_retries_of_a_run_are_bounded(registry: FaultRegistry) -> None:
    client = client_for({}, retry=RetryPolicy(run_budget=7))
    registry.fail("HEAD manifest", "503", None)
    for _ in range(4):
        with pytest.raises(RegistryError):
            client.session().head_manifest(Reference(registry.host, "app", "v1"))
    assert len(registry.seen) == 4 + 7


def test_warnings_are_shown_once(registry: FaultRegistry, caplog: pytest.LogCaptureFixture) -> None:
    registry.warning = '299 - "this registry \\"moves\\" soon\x1b[2J"'
    client = client_for({})
    for number in range(3):
        client.session().head_manifest(Reference(registry.host, "app", f"v{number}"))
    shown = [r.getMessage() for r in caplog.records]
    assert shown == [f'{registry.host}: it warns: this registry "moves" soon [2J']


def test_connections_are_reused_and_capped(registry: FaultRegistry) -> None:
    client = client_for({}, per_host_connections=3)
    app = Reference(registry.host, "app", "v1")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: client.session().head_manifest(app), range(60)))
    # After the first 404, the registry is asked whether it hides something.
    assert len(registry.seen) == 61
    assert registry.connections <= 3


def test_importing_the_client_is_cheap() -> None:
    code = (
        "import sys; import ko_pants.registry.client as c; c.RegistryClient(c.RegistryConfig({}));"
        "print([m for m in ('requests', 'ssl', 'http.client', 'subprocess') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_look_at_a_registry_does_not_import_what_a_push_needs() -> None:
    code = (
        "import sys; import ko_pants.registry.client as c;"
        "c.RegistryClient(c.RegistryConfig({})).parts();"
        "prefix = 'ko_pants.registry.';"
        "print([m for m in ('uploads', 'manifest_puts', 'referrers', 'downloads', 'requester')"
        " if prefix + m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['requester']"
