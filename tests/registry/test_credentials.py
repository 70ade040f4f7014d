"""Credentials: which file, entry or helper is used."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fault_registry import PASSWORD, USERNAME

from ko_pants.errors import KoPantsError
from ko_pants.registry.client import RegistryConfig
from ko_pants.registry.credentials import Credential, CredentialStore, lookup_keys
from ko_pants.registry.redaction import Redactor


def _auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def _write(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def _user(env: dict[str, str], registry: str, repository: str = "a/b") -> str | None:
    credential = CredentialStore(env, Redactor()).get(registry, repository)
    return credential.username if credential else None


@pytest.fixture
def helper(tmp_path: Path) -> Path:
    """A credential helper; it logs each call, and answers what `answer` says."""
    program = tmp_path / "bin" / "docker-credential-tests"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'server=$(cat); echo "$1 $server $CANARY" >> {tmp_path}/calls\n'
        f". {tmp_path}/answer\n"
    )
    program.chmod(0o755)
    answer = json.dumps({"ServerURL": "", "Username": USERNAME, "Secret": PASSWORD})
    (tmp_path / "answer").write_text(f"echo '{answer}'\n")
    return program


def _helper_env(tmp_path: Path, **config: Any) -> dict[str, str]:
    _write(tmp_path / "config.json", **config)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": path, "CANARY": "env"}


def test_lookup_keys_are_specific_first_and_know_the_hub() -> None:
    assert lookup_keys("r.io", "a/b") == ("r.io/a/b", "r.io/a", "r.io")
    assert lookup_keys("index.docker.io", "")[:2] == ("index.docker.io", "docker.io")


def test_files_are_searched_in_order(tmp_path: Path) -> None:
    env = {
        "REGISTRY_AUTH_FILE": str(tmp_path / "explicit.json"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "HOME": str(tmp_path / "home"),
    }
    places = [
        tmp_path / "home/.config/containers/auth.json",
        tmp_path / "run/containers/auth.json",
        tmp_path / "docker/config.json",
        tmp_path / "explicit.json",
    ]
    assert _user(env, "r.io") is None
    for number, path in enumerate(places):
        _write(path, auths={"r.io": _auth(f"user{number}", "password")})
        assert _user(env, "r.io") == f"user{number}"
    # A file without an entry for the host hides nothing.
    _write(places[3], auths={"else.io": _auth("other", "password")})
    assert _user(env, "r.io") == "user2"
    _write(tmp_path / "home/.docker/config.json", auths={"h.io": _auth("home", "password")})
    assert _user({"HOME": env["HOME"]}, "h.io") == "home"


@pytest.mark.parametrize(
    ("key", "registry", "repository", "found"),
    [
        ("r.io", "r.io", "a/b", True),
        ("https://r.io", "r.io", "a/b", True),
        ("https://r.io/v2/", "r.io", "a/b", True),
        ("http://r.io:5000/", "r.io:5000", "a/b", True),
        ("r.io:5000", "r.io", "a/b", False),
        ("r.io/a", "r.io", "a/b", True),
        ("r.io/a/b", "r.io", "a/b", True),
        ("r.io/ab", "r.io", "a/b", False),
        ("https://index.docker.io/v1/", "index.docker.io", "library/x", True),
        ("docker.io", "index.docker.io", "library/x", True),
        ("registry-1.docker.io", "index.docker.io", "library/x", True),
    ],
)
def test_keys(tmp_path: Path, key: str, registry: str, repository: str, found: bool) -> None:
    _write(tmp_path / "config.json", auths={key: _auth("user", "password")})
    wanted = "user" if found else None
    assert _user({"DOCKER_CONFIG": str(tmp_path)}, registry, repository) == wanted


def test_the_longest_namespace_wins(tmp_path: Path) -> None:
    names = {"r.io": "host", "r.io/a": "a", "r.io/a/b": "ab"}
    _write(tmp_path / "config.json", auths={k: _auth(u, "password") for k, u in names.items()})
    env = {"DOCKER_CONFIG": str(tmp_path)}
    repositories = ("a/b", "a/c", "x")
    assert [_user(env, "r.io", name) for name in repositories] == ["ab", "a", "host"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"auths": {"r.io": {"auth": "!!! canary-secret"}}}', "\x00\x01"]
)
def test_broken_files_are_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(KoPantsError, match=r"config\.json") as caught:
        _user({"DOCKER_CONFIG": str(tmp_path)}, "r.io")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", ["", '{"auths": null}', '{"auths": {"r.io": {}}}'])
def test_files_with_nothing_in_them_mean_anonymous(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert _user({"DOCKER_CONFIG": str(tmp_path)}, "r.io") is None


def test_credentials_show_no_secret() -> None:

    shown = repr(Credential("file", "user", PASSWORD, PASSWORD, PASSWORD))
    shown += repr(RegistryConfig({"HTTPS_PROXY": f"http://u:{PASSWORD}@p"}))
    assert PASSWORD not in shown


def test_helpers(tmp_path: Path, helper: Path) -> None:
    configs: list[dict[str, Any]] = [
        {"credHelpers": {"r.io": "tests"}},
        {"credsStore": "tests"},
    ]
    for config in configs:
        assert _user(_helper_env(tmp_path, **config), "r.io") == USERNAME
    env = _helper_env(tmp_path, credHelpers={"r.io": "tests"})
    assert _user(env, "else.io") is None
    assert _user(_helper_env(tmp_path, credsStore="tests"), "index.docker.io") == USERNAME
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["get r.io env", "get r.io env", "get https://index.docker.io/v1/ env"]


def test_an_entry_with_a_password_is_preferred_to_the_store(tmp_path: Path, helper: Path) -> None:
    env = _helper_env(tmp_path, auths={"r.io": _auth("file", "password")}, credsStore="tests")
    assert _user(env, "r.io") == "file"
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(
    ("answer", "warning"),
    [
        ("echo 'credentials not found in native keychain'; exit 1", ""),
        ("echo 'the vault is locked'; exit 1", "the vault is locked"),
        ("exit 3", "exit code 3"),
        ("echo nonsense", "no Username and Secret"),
        ("echo '[]'", "no Username and Secret"),
    ],
)
def test_failing_helpers_mean_anonymous_and_are_told_once(
    tmp_path: Path, helper: Path, caplog: pytest.LogCaptureFixture, answer: str, warning: str
) -> None:
    (tmp_path / "answer").write_text(answer)
    store = CredentialStore(_helper_env(tmp_path, credsStore="tests"), Redactor())
    assert store.get("r.io") is None
    assert store.get("r.io") is None
    assert [warning in r.getMessage() for r in caplog.records] == ([True] if warning else [])
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def _warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: str) -> str:
    (tmp_path / "answer").write_text(answer)
    env = {
        **_helper_env(tmp_path, credsStore="tests"),
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    }
    assert CredentialStore(env, Redactor()).get("r.io") is None
    (record,) = caplog.records
    return record.getMessage()


def test_a_failed_helper_is_shown_with_its_standard_error_and_the_option(
    tmp_path: Path, helper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = _warning(tmp_path, caplog, "echo 'no session: set AWS_PROFILE' >&2; echo oh; exit 3")
    assert (
        "docker-credential-tests failed with exit code 3: oh; no session: set AWS_PROFILE" in text
    )
    assert "[ko].registry_env_vars" in text


def test_secrets_of_the_environment_in_its_standard_error_are_not_shown(
    tmp_path: Path, helper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = _warning(
        tmp_path,
        caplog,
        "echo $AWS_SECRET_ACCESS_KEY $AWS_WEB_IDENTITY_TOKEN_FILE >&2; exit 1",
    )
    assert "very-secret-key" not in text
    assert "/var/run/token" in text


def test_of_a_long_standard_error_the_end_is_shown(
    tmp_path: Path, helper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = _warning(
        tmp_path,
        caplog,
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1",
    )
    assert "line 19999" in text
    assert len(text) < 1000


def test_a_helper_that_leaves_a_process_behind_is_not_waited_for(
    tmp_path: Path, helper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = _warning(
        tmp_path, caplog, f"(sleep 300 > /dev/null & echo $! > {tmp_path}/left); exit 1"
    )
    os.kill(int((tmp_path / "left").read_text()), 9)
    assert "exit code 1" in text
