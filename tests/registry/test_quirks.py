"""Registries that docker and crane can push to although they do not do what most others do.

Each test has a registry with one quirk. The expected result is crane's.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from pathlib import Path
from typing import Iterator

import pytest
from fault_registry import PASSWORD, USERNAME, digest_of
from registry_support import client_for, descriptor_of, layer_of, manifest_of, random_bytes
from registry_world import World, new_world

from ko_pants import daemon_memory
from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistryError

READS = ("GET", "HEAD")
WRITES = ("POST", "PUT", "PATCH")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


def app(world: World, tag: str = "v1") -> Reference:
    return Reference(world.registry.host, "app", tag)


def roots(world: World) -> int:
    return sum(seen.path == "/v2/" for seen in world.registry.seen)


def push(client: RegistryClient, world: World, content: bytes) -> str:
    return client.session(push_to=[app(world)]).push_blob(
        app(world), layer_of(content), functools.partial(io.BytesIO, content)
    )


class TestChallengeAtTheRootOnly:
    @pytest.mark.parametrize("auth", ["basic", "bearer"])
    @pytest.mark.parametrize("status", [401, 403, 404])
    @pytest.mark.parametrize("hidden", [READS, WRITES, READS + WRITES])
    def test_push(self, world: World, auth: str, status: int, hidden: tuple[str, ...]) -> None:
        world.registry.auth = auth
        world.registry.hides = dict.fromkeys(hidden, status)
        world.publish(world.client(), world.new)
        world.check_complete()
        assert roots(world) <= 1
        sent = world.registry.count("PUT upload")
        # The next run sees that everything is there.
        assert world.publish(world.client(), world.new) <= 4
        assert world.registry.count("PUT upload") == sent

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_pull_without_credentials(self, world: World, status: int) -> None:
        world.registry.hides = dict.fromkeys(READS, status)
        base = Reference(world.registry.host, "base", "latest")
        client = client_for({})
        assert client.session().get_manifest(base)[1] == world.base.manifest
        found = client.session().head_manifest(base)
        assert found is not None
        assert found.digest == digest_of(world.base.manifest)
        assert roots(world) == 1

    def test_many_tags_in_a_row(self, world: World) -> None:
        registry = world.registry
        registry.auth = "basic"
        registry.hides = dict.fromkeys(READS, 404)
        digests = []
        for n in range(6):
            descriptor, content = manifest_of(n=n)
            digests.append(descriptor.digest)
            registry.put_manifest("many", descriptor.media_type, content, f"t{n}")
        client = world.client()
        session = client.session(push_to=[Reference(registry.host, "many")])
        answers = client.head_manifests(
            [
                (session, Reference(registry.host, "many", f"t{n}"), digest)
                for n, digest in enumerate(digests)
            ]
        )
        assert [found.digest if found else None for answered, found in answers] == digests

    def test_a_row_that_was_sent_before_the_challenge_is_not_believed(self, world: World) -> None:
        registry = world.registry
        registry.auth = "basic"
        client = world.client()
        base, image = Reference(registry.host, "base", "latest"), app(world)
        # What everybody may read says nothing about who is asked.
        registry.auth = "none"
        assert client.session().head_manifest(base) is not None
        registry.auth = "basic"
        registry.hides = dict.fromkeys(READS, 404)
        session = client.session(push_to=[image])
        wanted = digest_of(world.old.index)
        (answer,) = client.head_manifests([(session, image, wanted)])
        assert answer == (False, None)
        (answer,) = client.head_manifests([(session, image, wanted)])
        assert answer[1] is not None
        assert answer[1].digest == wanted

    def test_the_root_is_asked_again_after_a_failure_but_not_for_ever(self, world: World) -> None:
        registry = world.registry
        registry.auth = "basic"
        registry.hides = dict.fromkeys(READS + WRITES, 403)
        for kind in ("503", "reset before", "429 seconds"):
            registry.fail("root", kind)
        world.publish(world.client(), world.new)
        world.check_complete()
        assert roots(world) == 4
        daemon_memory.clear_all()
        registry.fail("root", "503", None)
        with pytest.raises(RegistryError, match="no credentials were sent"):
            world.publish(world.client(), world.old)
        assert roots(world) == 4 + 6

    def test_a_challenge_of_another_host_is_not_answered(self, world: World) -> None:
        registry, elsewhere = world.registry, world.elsewhere
        registry.auth = elsewhere.auth = "basic"
        registry.hides = dict.fromkeys(READS + WRITES, 403)
        registry.fail("root", "redirect to", None, f"{registry.elsewhere}/v2/")
        with pytest.raises(RegistryError, match="no credentials were sent"):
            world.publish(world.client(), world.new)
        assert not any("Authorization" in seen.headers for seen in registry.seen + elsewhere.seen)

    def test_the_message_does_not_blame_credentials_that_were_not_sent(self, world: World) -> None:
        world.registry.auth = "none"
        world.registry.fail("POST upload", "403", None, "DENIED")
        world.registry.fail("POST mount", "403", None, "DENIED")
        with pytest.raises(RegistryError) as caught:
            world.publish(world.client(), world.new)
        assert "did not ask who we are" in str(caught.value)
        assert "docker login" not in str(caught.value)

    def test_a_push_to_an_open_registry_costs_no_request_more(self, world: World) -> None:
        world.registry.auth = "none"
        world.env = {}
        world.publish(world.client(), world.new)
        assert roots(world) == 0

    def test_an_open_registry_is_asked_once(self, world: World) -> None:
        # There are credentials, but it does not ask for any.
        world.registry.auth = "none"
        client = world.client()
        world.publish(client, world.new)
        assert push(client, world, b"something else") == "uploaded"
        assert roots(world) == 1


class TestHead:
    @pytest.mark.parametrize("status", [403, 400, 405, 501])
    @pytest.mark.parametrize("auth", ["none", "bearer"])
    def test_a_head_is_not_allowed(self, world: World, auth: str, status: int) -> None:
        world.registry.auth = auth
        world.registry.head_status = status
        world.publish(world.client(), world.new)
        world.check_complete()
        sent = world.registry.count("PUT upload")
        world.publish(world.client(), world.new)
        assert world.registry.count("PUT upload") == sent
        assert push(world.client(), world, world.new.layer) == "reused"

    @pytest.mark.parametrize("auth", ["none", "bearer"])
    def test_what_is_absent_is_forbidden(self, world: World, auth: str) -> None:
        world.registry.auth = auth
        world.registry.absent_status = 403
        del world.registry.tags["app", "v1"]
        world.publish(world.client(), world.new)
        world.check_complete()

    def test_a_row_of_tags_that_are_absent(self, world: World) -> None:
        world.registry.auth = "basic"
        world.registry.absent_status = 403
        client = world.client()
        session = client.session(push_to=[app(world)])
        wanted = digest_of(world.new.index)
        refs = [app(world, tag) for tag in ("a", "b")]
        answers = client.head_manifests([(session, ref, wanted) for ref in refs])
        assert answers[0] == (True, None)
        assert session.head_manifest(refs[1], forbidden_is_absent=True) is None

    def test_a_base_image_by_tag(self, world: World) -> None:
        base = Reference(world.registry.host, "base", "latest")
        world.registry.head_status = 403
        found = world.client().session().head_manifest(base)
        assert found == descriptor_of(world.base.manifest, media_types.OCI_MANIFEST)
        world.registry.fail("GET manifest", "403", None, "DENIED")
        with pytest.raises(RegistryError, match=r"refuses to pull .*base:latest: HTTP 403"):
            world.client().session().head_manifest(base)

    def test_who_may_not_push_learns_it_from_the_push(self, world: World) -> None:
        for endpoint in ("HEAD manifest", "GET manifest", "HEAD blob", "POST mount", "POST upload"):
            world.registry.fail(endpoint, "403", None, "DENIED")
        ref = app(world)
        session = world.client().session(push_to=[ref])
        assert session.head_manifest(ref, forbidden_is_absent=True) is None
        with pytest.raises(RegistryError, match=r"refuses to accept an upload of .*HTTP 403"):
            push(world.client(), world, b"new")


class TestBlobsInOnePut:
    @pytest.mark.parametrize("size", [0, 1, 100, 300_000])
    @pytest.mark.parametrize("status", [400, 403, 404, 405, 411, 415, 416, 422, 500, 501, 502])
    def test_are_refused(self, world: World, status: int, size: int) -> None:
        world.registry.whole_status = status
        client = world.client(whole=True)
        content = random_bytes(size)
        assert push(client, world, content) == "uploaded"
        assert world.registry.blobs["app", digest_of(content)] == content

    def test_are_tried_once_a_run(self, world: World) -> None:
        world.registry.whole_status = 405
        client = world.client(whole=True)
        for n in range(5):
            assert push(client, world, random_bytes(1000, n)) == "uploaded"
        # The first blob, sent whole in vain; then a PATCH and a PUT for each.
        assert world.registry.count("PUT upload") == 1 + 5
        assert world.registry.count("PATCH upload") == 5

    def test_are_refused_before_they_are_read(self, world: World) -> None:
        world.registry.whole_reset = True
        content = random_bytes(3_000_000)
        client = client_for(world.env, world.time, chunk_size=10**9)
        assert push(client, world, content) == "uploaded"
        assert world.registry.blobs["app", digest_of(content)] == content

    def test_the_patch_has_no_content_range_as_that_of_crane(self, world: World) -> None:
        world.registry.whole_status = 415
        push(world.client(whole=True), world, b"some bytes")
        (patch,) = [s for s in world.registry.seen if s.endpoint == "PATCH upload"]
        assert "Content-Range" not in patch.headers
        assert patch.headers["Content-Type"] == "application/octet-stream"

    @pytest.mark.parametrize("size", [1000, 300_000])
    def test_no_patch_either(self, world: World, size: int) -> None:
        world.registry.whole_status, world.registry.patch_status = 405, 415
        for whole in (True, False):
            with pytest.raises(RegistryError, match="refuses to take the blob") as caught:
                push(world.client(whole=whole), world, random_bytes(size))
            assert caught.value.status in (405, 415)
        assert world.registry.count("POST upload") <= 8

    def test_a_registry_that_takes_no_patch(self, world: World) -> None:
        world.registry.patch_status = 405
        client = world.client()
        for n in range(3):
            assert push(client, world, random_bytes(300_000, n)) == "uploaded"
        # Chunks are tried for the first blob only.
        assert world.registry.count("PATCH upload") == 1

    @pytest.mark.parametrize("kind", ["reset before", "503", "reset in body"])
    def test_a_break_of_a_registry_that_takes_no_patch(self, world: World, kind: str) -> None:
        world.registry.patch_status = 405
        world.registry.fail("PUT upload", kind)
        assert push(world.client(whole=True), world, random_bytes(1000)) == "uploaded"


class TestSeveralTags:
    TAGS = ("1.0", "latest", "stable")

    def put(self, client: RegistryClient, world: World, tags: tuple[str, ...] = TAGS) -> None:
        descriptor, content = manifest_of(world.base.layer, tags=tags)
        world.registry.put_blob("app", b"{}")
        world.registry.put_blob("app", world.base.layer)
        client.session(push_to=[app(world)]).put_manifest(
            app(world, tags[0]), descriptor, content, tags[1:]
        )

    def named(self, world: World) -> dict[str, str]:
        return {tag: digest for (name, tag), digest in world.registry.tags.items() if name == "app"}

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 412, 414, 422, 500, 501])
    def test_at_once_are_refused(self, world: World, status: int) -> None:
        world.registry.auth = "none"
        world.registry.tag_query_status = status
        client = world.client()
        self.put(client, world)
        named = self.named(world)
        assert len({named[tag] for tag in self.TAGS}) == 1
        assert named["latest"] != digest_of(world.old.index)
        assert world.registry.count("PUT manifest") == 1
        # The registry is not asked in that way again.
        self.put(client, world, ("other", "another"))
        assert world.registry.count("PUT manifest") == 1

    def test_as_many_as_no_url_can_hold(self, world: World) -> None:
        tags = tuple(f"{'t' * 100}-{n}" for n in range(1000))
        self.put(world.client(), world, tags)
        assert set(self.named(world)) >= set(tags)

    @pytest.mark.parametrize("oci_tag", [False, True])
    def test_a_tag_that_cannot_move(self, world: World, oci_tag: bool) -> None:
        registry = world.registry
        registry.oci_tag = oci_tag
        old = digest_of(world.old.index)
        registry.tags["app", "1.0"] = registry.tags["app", "latest"] = old
        registry.fixed_tags = frozenset({"1.0"})
        with pytest.raises(RegistryError) as caught:
            self.put(world.client(), world)
        assert "app:1.0: HTTP 400" in str(caught.value)
        assert "the tag is immutable" in str(caught.value)
        assert str(caught.value).endswith("The tags that were set: latest, stable")
        named = self.named(world)
        assert named["1.0"] == old
        assert named["latest"] == named["stable"] != old
        # It names this image already: nothing is wrong then.
        registry.tags["app", "1.0"] = named["latest"]
        self.put(world.client(), world)

    def test_all_are_refused(self, world: World) -> None:
        world.registry.immutable_tags = True
        for tag in self.TAGS:
            world.registry.tags["app", tag] = digest_of(world.old.index)
        with pytest.raises(RegistryError) as caught:
            self.put(world.client(), world)
        assert str(caught.value).count("HTTP 400") == 3
        assert str(caught.value).endswith("The tags that were set: none")

    def test_one_tag_has_the_message_of_the_registry(self, world: World) -> None:
        world.registry.immutable_tags = True
        world.registry.tags["app", "1.0"] = digest_of(world.old.index)
        with pytest.raises(RegistryError) as caught:
            self.put(world.client(), world, ("1.0",))
        assert "The tags that were set" not in str(caught.value)

    def test_missing_blobs_are_no_refusal_of_the_tags(self, world: World) -> None:
        descriptor, content = manifest_of(b"not there yet")
        world.registry.put_blob("app", b"{}")
        missing: list[tuple[str, ...]] = []

        def repair(digests: tuple[str, ...]) -> None:
            missing.append(digests)
            world.registry.put_blob("app", b"not there yet")

        world.client().session(push_to=[app(world)]).put_manifest(
            app(world, "a"), descriptor, content, ("b",), repair=repair
        )
        assert missing == [(digest_of(b"not there yet"),)]
        assert self.named(world)["a"] == self.named(world)["b"] == descriptor.digest


def identity_env(directory: Path, host: str, *, password: bool) -> dict[str, str]:
    pair = f"{USERNAME}:{PASSWORD if password else ''}".encode()
    entry = {"auth": base64.b64encode(pair).decode(), "identitytoken": PASSWORD}
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"auths": {host: entry}}))
    return {"DOCKER_CONFIG": str(directory)}


class TestTokenServers:
    @pytest.mark.parametrize("status", [404, 405, 501, 400, 401])
    def test_no_oauth2(self, world: World, tmp_path: Path, status: int) -> None:
        world.registry.oauth2_status = status
        world.env = identity_env(tmp_path / "identity", world.registry.host, password=True)
        world.publish(world.client(), world.new)
        world.check_complete()

    def test_no_oauth2_and_no_password(self, world: World, tmp_path: Path) -> None:
        world.registry.oauth2_status = 404
        world.env = identity_env(tmp_path / "identity", world.registry.host, password=False)
        base = Reference(world.registry.host, "base", "latest")
        # Everybody may pull.
        assert world.client().session().get_manifest(base)[1] == world.base.manifest
        with pytest.raises(RegistryError, match="HTTP 401"):
            world.publish(world.client(), world.new)

    def test_a_token_server_without_oauth2_is_told_once(self, world: World, tmp_path: Path) -> None:
        world.registry.oauth2_status = 404
        world.env = identity_env(tmp_path / "identity", world.registry.host, password=True)
        client = world.client()
        for name in ("app", "base", "other"):
            client.session().head_manifest(Reference(world.registry.host, name, "latest"))
        posts = [s for s in world.registry.seen if s.endpoint == "token" and s.method == "POST"]
        assert len(posts) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("absolute", [False, True])
    def test_a_redirect_within_the_host(self, world: World, status: int, absolute: bool) -> None:
        host = f"http://{world.registry.host}" if absolute else ""
        world.registry.token_redirect = (status, f"{host}/token/there")
        world.publish(world.client(), world.new)
        world.check_complete()

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_redirect_of_an_identity_token(
        self, world: World, tmp_path: Path, status: int
    ) -> None:
        world.registry.token_redirect = (status, "/token/there")
        world.env = identity_env(tmp_path / "identity", world.registry.host, password=False)
        world.publish(world.client(), world.new)
        world.check_complete()

    @pytest.mark.parametrize(
        ("where", "problem"),
        [
            ("http://169.254.169.254/token", "unsafe Location"),
            ("http://tokens.invalid/token", "unsafe Location"),
            ("ftp://127.0.0.1/token", "unsafe Location"),
            ("ELSEWHERE/token/there", "with credentials to another host"),
            ("/token", "more than 5 times"),
        ],
    )
    def test_a_redirect_that_is_not_followed(self, world: World, where: str, problem: str) -> None:
        where = where.replace("ELSEWHERE", world.registry.elsewhere)
        world.registry.token_redirect = (302, where)
        with pytest.raises(RegistryError, match=problem) as caught:
            world.publish(world.client(), world.new)
        assert PASSWORD not in str(caught.value)
        assert not any("Authorization" in seen.headers for seen in world.elsewhere.seen)

    @pytest.mark.parametrize(
        "said",
        [
            *('"300"', '"soon"', "null", "true", "[]", "{}", "-1", "0", "1e999", "NaN"),
            *("-Infinity", "9" * 5000, '"' + "9" * 5000 + '"', '"²"'),
        ],
        ids=lambda said: str(said)[:10],
    )
    def test_a_lifetime_that_is_no_number(self, world: World, said: str) -> None:
        world.registry.expires_in = said
        client = world.client()
        session = client.session(push_to=[app(world)])
        for tag in ("a", "b", "c"):
            assert session.head_manifest(app(world, tag)) is None
        # One token serves for all of them.
        assert world.registry.count("token") == 1
