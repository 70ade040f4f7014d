"""Images on an `oci_base_image`, its lock file, and the goal that writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, fault_registry
from oci.images import base_config
from pants.engine.addresses import Address, Addresses
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.target import DependenciesRequest, InvalidFieldException
from pants.testutil.rule_runner import GoalRuleResult, RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.base_image_fields import (
    OciBaseImageLockfileField,
    OciBaseImageReferenceField,
    names_target,
)
from ko_pants.goals.ko_lock import KoLockGoal
from ko_pants.oci import media_types as mt
from ko_pants.oci.base_lock import BaseLock, parse_lock
from ko_pants.oci.platform import Platform
from ko_pants.products import BuiltImage
from ko_pants.target_types import GoOciImageDependenciesField, GoOciImageFieldSet

AMD64, ARM64, S390X = (Platform("linux", a) for a in ("amd64", "arm64", "s390x"))
LOCK = "images/static.lock.json"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (BuiltImage, [GoOciImageFieldSet]),
            (Addresses, [DependenciesRequest]),
            (Owners, [OwnersRequest]),
        ]
    )


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


@pytest.fixture
def runner(engine: RuleRunner, registry: FaultRegistry, tmp_path: Path) -> RuleRunner:
    (Path(engine.build_root) / LOCK).unlink(missing_ok=True)
    engine.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                "go_oci_image(name='image', binary=':server', base_image='//images:static',"
                " platforms=['linux/amd64'])\n"
            ),
            "app/server.bin": elf(62),
            "images/BUILD": f"oci_base_image(name='static', image='{registry.host}/base')\n",
        }
    )
    new_run(engine, tmp_path)
    return engine


def new_run(runner: RuleRunner, tmp_path: Path, *options: str) -> None:
    configure(runner, *options, KOCACHE=str(tmp_path / "kocache"))


def push(
    registry: FaultRegistry, *platforms: Platform, user: str = "1", single: bool = False
) -> str:
    """Put a base at `base:latest`; returns its digest."""
    entries = []
    for platform in platforms:
        config = base_config(platform, 0, config={"User": user})
        described = {"digest": registry.put_blob("base", config), "size": len(config)}
        manifest = {
            "mediaType": mt.OCI_MANIFEST,
            "config": {"mediaType": mt.OCI_CONFIG, **described},
            "layers": [],
        }
        content = json.dumps(manifest).encode()
        tag = "latest" if single else ""
        digest = registry.put_manifest("base", mt.OCI_MANIFEST, content, tag)
        if single:
            return digest
        entries.append(
            {
                "mediaType": mt.OCI_MANIFEST,
                "digest": digest,
                "size": len(content),
                "platform": platform.to_json(),
            }
        )
    index = json.dumps({"mediaType": mt.OCI_INDEX, "manifests": entries}).encode()
    return registry.put_manifest("base", mt.OCI_INDEX, index, "latest")


def lock_on_disk(runner: RuleRunner) -> BaseLock:
    return parse_lock((Path(runner.build_root) / LOCK).read_bytes(), where="test")


def ko_lock(runner: RuleRunner, tmp_path: Path, *args: str) -> GoalRuleResult:
    """`ko-lock`, as a run of its own."""
    new_run(runner, tmp_path)
    env = {"PATH": "/usr/bin:/bin", "KOCACHE": str(tmp_path / "kocache")}
    result = runner.run_goal_rule(KoLockGoal, args=[*args, "images:static"], env=env)
    new_run(runner, tmp_path)
    return result


def the_image(runner: RuleRunner) -> GoOciImageFieldSet:
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


def mistake(runner: RuleRunner) -> str:
    return error_of(runner, BuiltImage, [the_image(runner)])


def user_of(built: BuiltImage) -> str:
    return str(json.loads(built.image.manifests[0].config)["config"]["User"])


def tag_requests(registry: FaultRegistry) -> Sequence[str]:
    return [s.method for s in registry.seen if s.path.endswith("/manifests/latest")]


def test_an_image_stands_on_what_is_locked_until_that_is_refreshed(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    first = push(registry, ARM64, AMD64)
    done = ko_lock(runner, tmp_path)
    assert done.exit_code == 0
    assert f"✓ images:static: {LOCK} written\n    digest: {first}\n" in done.stdout
    lock = lock_on_disk(runner)
    assert (lock.image, lock.digest) == (f"{registry.host}/base:latest", first)
    assert [p.platform for p in lock.platforms] == ["linux/amd64", "linux/arm64"]

    second = push(registry, ARM64, AMD64, S390X, user="2")
    registry.seen.clear()
    built = runner.request(BuiltImage, [the_image(runner)])
    assert user_of(built) == "1"
    manifest = json.loads(built.image.manifests[0].manifest)
    assert manifest["annotations"]["org.opencontainers.image.base.name"] == lock.image
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == next(
        p.digest for p in lock.platforms if p.platform == "linux/amd64"
    )
    # Not for the tag, and not for the digest: KOCACHE has it from `ko-lock`.
    assert registry.seen == []

    done = ko_lock(runner, tmp_path)
    assert f"    digest: {first} -> {second}\n" in done.stdout
    assert f"    linux/amd64: {lock.platforms[0].digest} -> sha256:" in done.stdout
    assert "    linux/s390x: added sha256:" in done.stdout
    assert tag_requests(registry) == ["HEAD"]
    assert user_of(runner.request(BuiltImage, [the_image(runner)])) == "2"


def test_nothing_is_written_where_nothing_changed(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    path = Path(runner.build_root) / LOCK
    # As another tool formats it.
    runner.write_files({LOCK: json.dumps(json.loads(path.read_text()))})
    before = path.stat()
    done = ko_lock(runner, tmp_path)
    assert (done.exit_code, done.stdout) == (0, f"- images:static: {LOCK} is up to date\n")
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_check_writes_nothing_and_fails(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    done = ko_lock(runner, tmp_path, "--check")
    assert done.exit_code == 1
    assert f"✕ images:static: {LOCK} is out of date\n" in done.stdout
    assert not (Path(runner.build_root) / LOCK).exists()
    ko_lock(runner, tmp_path)
    assert ko_lock(runner, tmp_path, "--check").exit_code == 0


def test_a_base_of_one_platform(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    digest = push(registry, AMD64, single=True)
    ko_lock(runner, tmp_path)
    lock = lock_on_disk(runner)
    assert (lock.digest, lock.platforms[0].digest) == (digest, digest)
    assert user_of(runner.request(BuiltImage, [the_image(runner)])) == "1"


def test_a_damaged_lock_is_written_anew(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    digest = push(registry, AMD64)
    runner.write_files({LOCK: "<<<<<<< HEAD\n"})
    assert f"digest: {digest}" in ko_lock(runner, tmp_path).stdout
    assert lock_on_disk(runner).digest == digest


def test_a_tag_that_names_nothing_leaves_the_lock(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    before = lock_on_disk(runner)
    registry.tags.clear()
    done = ko_lock(runner, tmp_path)
    assert done.exit_code == 1
    assert "images:static, field `image`: base image" in done.stderr
    assert "not found on" in done.stderr
    assert lock_on_disk(runner) == before


def test_one_base_that_fails_keeps_no_other_from_being_locked(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    build = f"oci_base_image(name='static', image='{registry.host}/base')\n"
    gone = f"oci_base_image(name='gone', image='{registry.host}/gone')\n"
    runner.write_files({"images/BUILD": gone + build})
    done = ko_lock(runner, tmp_path, "images:gone")
    assert done.exit_code == 1
    assert "images:gone, field `image`" in done.stderr
    assert lock_on_disk(runner).platforms


def test_two_targets_with_one_lock_file(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    build = f"oci_base_image(name='static', image='{registry.host}/base')\n"
    other = build.replace("'static', ", "'other', lockfile='static.lock.json', ")
    runner.write_files({"images/BUILD": build + other})
    with pytest.raises(Exception, match=r"both have the lock file images/static\.lock\.json"):
        ko_lock(runner, tmp_path, "images:other")


def test_targets_without_a_base_image(runner: RuleRunner) -> None:
    done = runner.run_goal_rule(KoLockGoal, args=["app:"])
    assert (done.exit_code, done.stdout) == (
        0,
        "No `oci_base_image` among the given targets: nothing to lock.\n",
    )


RUN = "un `./pants ko-lock images:static`"


def test_a_lock_that_is_missing(runner: RuleRunner) -> None:
    assert mistake(runner) == (
        f"app:image, field `base_image`: the lock file {LOCK} of images:static is missing. R"
        + RUN
        + " and commit the file"
    )


def test_a_lock_that_cannot_be_read(runner: RuleRunner) -> None:
    path = Path(runner.build_root) / LOCK
    path.mkdir()
    try:
        text = mistake(runner)
    finally:
        path.rmdir()
    assert f"the lock file {LOCK} of images:static cannot be read: Is a directory. R" in text


def locked(image: str, *platforms: str, digest: str = "sha256:" + 64 * "0") -> str:
    """A lock file."""
    return json.dumps(
        {
            "version": 1,
            "image": image,
            "digest": digest,
            "platforms": [{"platform": p, "digest": digest} for p in platforms],
        }
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", [f"the lock file {LOCK} of images:static: expected JSON", RUN]),
        ('{"version": 2}', ["expected `version` to be 1, found 2", RUN]),
        (
            locked("example.com/other:latest", "linux/amd64"),
            ["is for example.com/other:latest, and the field `image` says {image}.", RUN],
        ),
        (
            locked("{image}", "linux/s390x", "linux/arm64"),
            ["has no platform linux/amd64; it has linux/arm64, linux/s390x. If {image} has", RUN],
        ),
        (
            locked("{image}", "linux/amd64"),
            [
                f"images:static is locked to sha256:{64 * '0'} in {LOCK}: {{host}}/base@sha256:0",
                "The locked image is gone from the registry. R" + RUN,
                f"to lock what {{image}} names now, and commit {LOCK}",
            ],
        ),
    ],
    ids=["damaged", "newer", "another image", "platform", "gone"],
)
def test_a_lock_that_cannot_be_used(
    runner: RuleRunner, registry: FaultRegistry, content: str, words: list[str]
) -> None:
    push(registry, AMD64)
    names = {"{image}": f"{registry.host}/base:latest", "{host}": registry.host}
    for name, value in names.items():
        content = content.replace(name, value)
        words = [word.replace(name, value) for word in words]
    runner.write_files({LOCK: content})
    text = mistake(runner)
    assert text.startswith("app:image, field `base_image`: ")
    for word in words:
        assert word in text


def test_a_platform_that_is_gone_while_the_index_is_there(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    lock = lock_on_disk(runner)
    del registry.manifests["base", lock.platforms[0].digest]
    new_run(runner, tmp_path / "other machine")
    text = mistake(runner)
    assert f"images:static is locked to {lock.digest}" in text
    assert "is gone from the registry" in text


def test_a_registry_that_refuses_is_not_called_gone(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    registry.auth = "basic"
    registry.anonymous_actions = frozenset()
    new_run(runner, tmp_path / "other machine")
    text = mistake(runner)
    assert "images:static is locked to sha256:" in text
    assert "gone" not in text


def test_cpu_levels_on_a_locked_base(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    build = Path(runner.build_root) / "app/BUILD"
    levels = "'linux/amd64', 'linux/amd64/v3'"
    runner.write_files({"app/BUILD": build.read_text().replace("'linux/amd64'", levels)})
    built = runner.request(BuiltImage, [the_image(runner)])
    assert built.image.platform_names == "linux/amd64, linux/amd64/v3"


def test_a_lock_that_was_edited_by_hand(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    lock = lock_on_disk(runner)
    path = Path(runner.build_root) / LOCK
    edited = path.read_text().replace(lock.platforms[0].digest, "sha256:" + 64 * "0")
    runner.write_files({LOCK: edited})
    text = mistake(runner)
    assert f"{LOCK} of images:static was changed by hand" in text
    assert f"the image for linux/amd64 is {lock.platforms[0].digest}" in text


def test_the_option_can_name_a_target(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    build = Path(runner.build_root) / "app/BUILD"
    runner.write_files(
        {"app/BUILD": build.read_text().replace("base_image='//images:static',", "")}
    )
    new_run(runner, tmp_path, "--ko-default-base-image=//images:static")
    assert user_of(runner.request(BuiltImage, [the_image(runner)])) == "1"
    assert [str(a) for a in dependencies(runner)] == ["app:server", "images:static"]
    new_run(runner, tmp_path, "--ko-default-base-image=:static")
    assert mistake(runner).startswith(
        "app:image, option [ko].default_base_image (or $KO_DEFAULTBASEIMAGE, or .ko.yaml): "
        "':static' is relative"
    )


def dependencies(runner: RuleRunner) -> Addresses:
    target = runner.get_target(Address("app", target_name="image"))
    request = DependenciesRequest(target[GoOciImageDependenciesField])
    return Addresses(sorted(runner.request(Addresses, [request])))


def test_the_image_depends_on_its_base_which_owns_the_lock_file(runner: RuleRunner) -> None:
    # Before there is a lock file, too.
    assert [str(a) for a in dependencies(runner)] == ["app:server", "images:static"]
    runner.write_files({LOCK: "{}"})
    owners = runner.request(Owners, [OwnersRequest((LOCK,))])
    assert [str(a) for a in owners] == ["images:static"]


@pytest.mark.parametrize("address", ["//app:server", ":server"])
def test_a_target_of_another_kind(runner: RuleRunner, address: str) -> None:
    build = Path(runner.build_root) / "app/BUILD"
    runner.write_files({"app/BUILD": build.read_text().replace("//images:static", address)})
    expected = "app:image, field `base_image`: app:server is a `file`; expected an `oci_base_image`"
    assert mistake(runner) == expected
    target = runner.get_target(Address("app", target_name="image"))
    request = DependenciesRequest(target[GoOciImageDependenciesField])
    assert error_of(runner, Addresses, [request]) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("//images:static", True),
        ("//:static", True),
        ("//images", True),
        (":static", True),
        # Repository and tag.
        ("images:static", False),
        ("images/static:latest", False),
        ("registry.example.com:5000/static", False),
        ("oci:images", False),
        ("scratch", False),
    ],
)
def test_an_address_is_told_from_a_reference_by_how_it_begins(value: str, expected: bool) -> None:
    assert names_target(value) is expected


ADDRESS = Address("images", target_name="static")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("registry.example.com/static:1.2", "registry.example.com/static:1.2"),
        ("registry.example.com/static", "registry.example.com/static:latest"),
        ("busybox", "index.docker.io/library/busybox:latest"),
    ],
)
def test_the_reference_in_full(value: str, expected: str) -> None:
    assert OciBaseImageReferenceField(value, ADDRESS).value == expected


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "'image' field"),
        ("", "malformed reference ''"),
        ("Not A Reference", "malformed reference 'Not A Reference'"),
        ("scratch", "found 'scratch', which has nothing to lock"),
        ("oci:images/static", "found 'oci:images/static', a layout on disk"),
        ("//images:other", "the address of a target"),
        (":other", "the address of a target"),
        (f"example.com/x@sha256:{64 * 'a'}", "which its digest pins already"),
        (f"example.com/x:1@sha256:{64 * 'a'}", "which its digest pins already"),
        ("example.com/x@sha256:1", "which its digest pins already"),
        ("user:password@example.com/x", "a user or password before an @"),
    ],
)
def test_a_reference_that_cannot_be_locked(value: str | None, found: str) -> None:
    with pytest.raises(InvalidFieldException) as e:
        OciBaseImageReferenceField(value, ADDRESS)
    assert "images:static" in str(e.value)
    assert found in str(e.value)
    assert "password@" not in str(e.value)


def test_the_lock_file_is_named_after_the_target() -> None:
    assert OciBaseImageLockfileField(None, ADDRESS).file_path == LOCK
    assert OciBaseImageLockfileField("locks/x.json", ADDRESS).file_path == "images/locks/x.json"
    with pytest.raises(InvalidFieldException, match=r"lockfile"):
        OciBaseImageLockfileField("../x.json", ADDRESS)


def test_another_run_of_the_daemon_asks_nobody(
    runner: RuleRunner, registry: FaultRegistry, tmp_path: Path
) -> None:
    push(registry, AMD64)
    ko_lock(runner, tmp_path)
    first = runner.request(BuiltImage, [the_image(runner)])
    new_run(runner, tmp_path)
    registry.seen.clear()
    assert runner.request(BuiltImage, [the_image(runner)]) == first
    assert registry.seen == []
