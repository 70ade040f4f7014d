"""Real registries: everything that is pushed is pulled back by other people's tools."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from real_registry import (
    PASSWORD,
    USERNAME,
    RealRegistry,
    docker_registry,
    free_port,
    programs,
    version_of,
    wait_for_port,
)
from registry_support import descriptor_of

from ko_pants import daemon_memory
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import (
    RegistryClient,
    RegistryConfig,
    RegistryError,
    RegistrySession,
    RetryPolicy,
)
from ko_pants.registry.referrers import Referrer

KINDS = ["none", "htpasswd", "token", "tls", "htpasswd over tls"]


@contextmanager
def _started(tmp_path: Path, kind: str, major: int = 2) -> Iterator[RealRegistry]:
    auth, _, tls = kind.partition(" over ")
    if kind == "tls":
        auth, tls = "none", "tls"
    with docker_registry(tmp_path, auth=auth, tls=bool(tls), major=major) as registry:
        yield registry


def _env(tmp_path: Path, registry: RealRegistry) -> dict[str, str]:
    config = registry.docker_config(tmp_path / "docker")
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "DOCKER_CONFIG": str(config)}


def _client(tmp_path: Path, registry: RealRegistry, **settings: Any) -> RegistryClient:
    ca_certs = str(registry.ca_cert) if registry.ca_cert else None
    return RegistryClient(
        RegistryConfig(_env(tmp_path, registry), ca_certs_path=ca_certs, **settings)
    )


def _layer(name: str, size: int) -> tuple[bytes, bytes]:
    """A tar with one file, and its gzip."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = size
        content = random.Random(name).getrandbits(8 * size).to_bytes(size, "big")
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue(), gzip.compress(file.getvalue(), 1, mtime=0)


def push_image(session: RegistrySession, ref: Reference, name: str, size: int) -> Descriptor:
    """Push an index over one image of two layers; returns the descriptor of the index."""
    diff_ids, layers = [], []
    for part in ("base", name):
        tar, blob = _layer(part, size)
        descriptor = descriptor_of(blob, media_types.OCI_LAYER_GZIP)
        session.push_blob(ref, descriptor, functools.partial(io.BytesIO, blob))
        diff_ids.append(sha256_digest(tar))
        layers.append(descriptor.to_json())
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    config_descriptor = descriptor_of(config, media_types.OCI_CONFIG)
    session.push_blob(ref, config_descriptor, functools.partial(io.BytesIO, config))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": config_descriptor.to_json(),
            "layers": layers,
        }
    ).encode()
    child = descriptor_of(manifest, media_types.OCI_MANIFEST)
    session.put_manifest(ref.with_digest(child.digest), child, manifest)
    platform = {"os": "linux", "architecture": "amd64"}
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [{**child.to_json(), "platform": platform}],
        }
    ).encode()
    descriptor = descriptor_of(index, media_types.OCI_INDEX)
    session.put_manifest(ref, descriptor, index)
    return descriptor


def _skopeo(*args: str) -> str:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("major", [2, 3])
def test_push_to_distribution(tmp_path: Path, major: int, kind: str) -> None:
    with _started(tmp_path, kind, major) as registry:
        client = _client(tmp_path, registry, chunk_threshold=200_000, chunk_size=100_000)
        ref = Reference(registry.host, "team/app", "v1")
        pushed = push_image(client.session(push_to=[ref]), ref, "app", 300_000)
        again = client.session(push_to=[ref])
        assert again.head_manifest(ref) == pushed
        assert again.requests == 1
        other = Reference(registry.host, "team/other", "v1")
        layer = _layer("base", 300_000)[1]
        assert (
            again.push_blob(
                *(other, descriptor_of(layer, media_types.OCI_LAYER_GZIP), io.BytesIO),
            )
            == "mounted"
        )
        manifest = json.loads(again.get_manifest(ref)[1])["manifests"][0]["digest"]
        content = json.loads(again.get_manifest(ref.with_digest(manifest))[1])
        for item in content["layers"]:
            descriptor = Descriptor.from_json(item, where="test")
            with again.open_blob(ref, descriptor) as stream:
                assert sha256_digest(stream.read()) == descriptor.digest

        flags = (
            ["--creds", f"{USERNAME}:{PASSWORD}"] if "none" not in kind and kind != "tls" else []
        )
        if registry.ca_cert:
            certs = tmp_path / "certs"
            certs.mkdir()
            shutil.copy(registry.ca_cert, certs / "ca.crt")
            cert_flags = ["--cert-dir", str(certs)]
        else:
            cert_flags = ["--tls-verify=false"]
        inspected = json.loads(_skopeo("inspect", *flags, *cert_flags, f"docker://{ref}"))
        assert inspected["Labels"] == {"name": "app"}
        prefix = {"--creds": "--src-creds", "--cert-dir": "--src-cert-dir"}
        source_flags = [prefix.get(f, f.replace("--tls", "--src-tls")) for f in flags + cert_flags]
        layout = tmp_path / "layout"
        _skopeo("copy", "--all", *source_flags, f"docker://{ref}", f"oci:{layout}:v1")
        index = json.loads((layout / "index.json").read_text())
        assert index["manifests"][0]["digest"] == pushed.digest
    log = registry.log_path.read_text()
    assert PASSWORD not in log


@pytest.mark.parametrize("major", [2, 3])
def test_podman_pulls_what_was_pushed(tmp_path: Path, major: int) -> None:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    with ExitStack() as stack:
        registry = stack.enter_context(docker_registry(tmp_path, major=major))
        ref = Reference(registry.host, "app", "v1")
        push_image(_client(tmp_path, registry).session(), ref, "app", 50_000)
        # It refuses a longer path than pytest's.
        runroot = stack.enter_context(tempfile.TemporaryDirectory(prefix="ko"))
        store = ["--root", str(tmp_path / "root"), "--runroot", runroot]
        store += ["--storage-driver", "vfs"]
        done = subprocess.run(
            ["podman", *store, "pull", "--tls-verify=false", str(ref)],
            capture_output=True,
            text=True,
            check=False,
        )
        if "cannot clone" in done.stderr or "namespace" in done.stderr:
            pytest.skip("podman cannot run here (namespaces)")
        assert done.returncode == 0, done.stderr


def test_a_private_authority_is_needed(tmp_path: Path) -> None:
    with _started(tmp_path, "tls") as registry:
        env = _env(tmp_path, registry)
        ref = Reference(registry.host, "app", "v1")
        with pytest.raises(RegistryError, match="ca_certs_path") as caught:
            RegistryClient(RegistryConfig(env)).session().head_manifest(ref)
        assert registry.host in str(caught.value)
        # podman's and docker's place for the authority of one registry.
        certs = tmp_path / ".config/containers/certs.d" / registry.host
        certs.mkdir(parents=True)
        assert registry.ca_cert is not None
        shutil.copy(registry.ca_cert, certs / "ca.crt")
        assert RegistryClient(RegistryConfig(env)).session().head_manifest(ref) is None


@pytest.mark.parametrize("names", ["DNS:else.test", "IP:127.0.0.2"])
def test_a_certificate_for_another_name(tmp_path: Path, names: str) -> None:
    with docker_registry(tmp_path, tls=True, names=names) as registry:
        with pytest.raises(RegistryError, match="not trusted"):
            _client(tmp_path, registry).session().head_manifest(
                Reference(registry.host, "app", "v")
            )
        assert not [r for r in registry.requests() if r[2] != 400]


def test_a_client_certificate(tmp_path: Path) -> None:
    with docker_registry(tmp_path, tls=True, client_certs=True) as registry:
        ref = Reference(registry.host, "app", "v1")
        with pytest.raises(RegistryError, match=registry.host):
            _client(tmp_path, registry, retry=RetryPolicy(attempts=1)).session().head_manifest(ref)
        directory = registry.log_path.parent
        pair = (str(directory / "server.pem"), str(directory / "server.key"))
        session = _client(tmp_path, registry, client_certs={registry.host: pair}).session()
        assert session.head_manifest(ref) is None


def test_tokens_that_expire_in_the_middle_of_a_push(tmp_path: Path) -> None:
    with _started(tmp_path, "token") as registry:
        tokens = registry.token_server
        assert tokens is not None
        client = _client(tmp_path, registry)
        ref = Reference(registry.host, "app", "v1")
        # It says five minutes, and signs for a time that is over (60 s of leeway included).
        tokens.valid_for = -100
        session = client.session(push_to=[ref])
        with pytest.raises(RegistryError) as caught:
            session.head_manifest(ref)
        assert caught.value.status == 401
        tokens.valid_for = 300
        pushed = push_image(session, ref, "app", 50_000)
        assert session.head_manifest(ref) == pushed


@pytest.mark.parametrize("major", [2, 3])
def test_a_run_of_50_repositories_with_tokens_is_50_heads(tmp_path: Path, major: int) -> None:
    with _started(tmp_path, "token", major) as registry:
        tokens = registry.token_server
        assert tokens is not None
        refs = [Reference(registry.host, f"team/app{n}", "v1") for n in range(50)]

        def run() -> RegistryClient:
            client = _client(tmp_path, registry)
            client.expect(refs)
            return client

        client = run()
        pushed = [push_image(client.session(push_to=[r]), r, r.repository, 100) for r in refs]
        client.close()
        for warm in (True, True, False):
            if not warm:
                daemon_memory.clear_all()
            before, asked = len(registry.requests()), len(tokens.asked)
            client = run()
            questions = [
                (client.session(push_to=[ref]), ref, image.digest)
                for ref, image in zip(refs, pushed)
            ]
            assert client.head_manifests(questions) == [(True, image) for image in pushed]
            client.close()
            statuses = sorted(status for _, _, status in registry.requests()[before:])
            assert statuses == [200] * 50 + ([] if warm else [401])
            assert len(tokens.asked) - asked == (0 if warm else 2)


def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    for kind in ("htpasswd", "token"):
        with _started(tmp_path / kind, kind) as registry:
            env = _env(tmp_path, registry)
            config = tmp_path / "docker" / "config.json"
            config.write_text(
                json.dumps({"auths": {registry.host: {"username": USERNAME, "password": "wrong1"}}})
            )
            session = RegistryClient(RegistryConfig(env)).session()
            with pytest.raises(RegistryError, match=str(config)) as caught:
                session.head_manifest(Reference(registry.host, "app", "v1"))
            assert caught.value.status == 401
            assert "wrong1" not in str(caught.value)


def test_push_to_go_containerregistry(tmp_path: Path) -> None:
    program = next((p for p in programs("registry") if not version_of(p)), None)
    if program is None:
        pytest.skip("go-containerregistry's `registry` is not on PATH")
    log = tmp_path / "log"
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-port", str(port)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        if not wait_for_port(port, process, log):
            pytest.skip("the `registry` on PATH is another program")
        client = RegistryClient(RegistryConfig({}, chunk_threshold=200_000, chunk_size=100_000))
        ref = Reference(f"127.0.0.1:{port}", "team/app", "v1")
        pushed = push_image(client.session(), ref, "app", 300_000)
        subject = client.session().head_manifest(ref)
        assert subject == pushed
        signature = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "artifactType": "application/x.sig",
                "config": descriptor_of(b"{}", media_types.OCI_EMPTY).to_json(),
                "layers": [],
                "subject": pushed.to_json(),
            }
        ).encode()
        session = client.session()
        empty = descriptor_of(b"{}", media_types.OCI_EMPTY)
        session.push_blob(ref, empty, lambda: io.BytesIO(b"{}"))
        descriptor = descriptor_of(signature, media_types.OCI_MANIFEST)
        if not session.put_referrer(ref, descriptor, signature, lambda _: None):
            referrer = Referrer(descriptor, "application/x.sig")
            lists = session.enlist_referrers(ref, {pushed.digest: [referrer]})
            session.confirm_referrers(lists)
        found = session.referrers(ref.with_digest(pushed.digest), "application/x.sig")
        assert [r.descriptor.digest for r in found] == [sha256_digest(signature)]
        _skopeo(
            "copy", "--all", "--src-tls-verify=false", f"docker://{ref}", f"oci:{tmp_path}/o:v1"
        )
    finally:
        process.kill()
        process.wait()


def _push_in_child(host: str, name: str) -> int:
    """Push in a process of its own; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        config = RegistryConfig({}, chunk_threshold=90_000, chunk_size=30_000)
        ref = Reference(host, "app", "v1")
        push_image(RegistryClient(config).session(), ref, name, 100_000)
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """The tag always names a complete image, and running again completes the push."""
    rng = random.Random(5)
    killed = 0
    with docker_registry(tmp_path) as registry:
        client = RegistryClient(RegistryConfig({}))
        ref = Reference(registry.host, "app", "v1")
        first = push_image(client.session(), ref, "first", 100_000)
        for number in range(40):
            # A push makes about a dozen requests; the log has them when they are answered.
            until = len(registry.requests()) + rng.randrange(14)
            child = _push_in_child(registry.host, f"image {number}")
            ended = 0
            while not ended and len(registry.requests()) < until:
                ended, status = os.waitpid(child, os.WNOHANG)
                time.sleep(0.0002)
            if not ended:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            killed += os.WIFSIGNALED(status)
            assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
            _check_complete(client, ref)
        last = push_image(RegistryClient(RegistryConfig({})).session(), ref, "image 39", 100_000)
        assert client.session().head_manifest(ref) == last != first
        _check_complete(client, ref)
    assert killed >= 10


def _check_complete(client: RegistryClient, ref: Reference) -> None:
    session = client.session()
    index = json.loads(session.get_manifest(ref)[1])
    for child in index["manifests"]:
        manifest = json.loads(session.get_manifest(ref.with_digest(child["digest"]))[1])
        for part in (manifest["config"], *manifest["layers"]):
            with session.open_blob(ref, Descriptor.from_json(part, where="test")) as stream:
                assert len(stream.read()) == part["size"]
