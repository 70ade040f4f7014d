"""Credentials: docker's and podman's auth files, and docker credential helpers.

Formats: docker's `config.json` (auths, credHelpers, credsStore) and containers-auth.json(5), which
adds per-namespace entries; the helper protocol is docker-credential-helpers'.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Iterator, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import DOCKER_HUB
from ko_pants.registry.errors import printable
from ko_pants.registry.redaction import Redactor

logger = logging.getLogger(__name__)

_HUB_KEYS = (DOCKER_HUB, "docker.io", "registry-1.docker.io")
_HUB_SERVER = "https://index.docker.io/v1/"
_HELPER_TIMEOUT_SECONDS = 60.0
_SHOWN_ERROR_BYTES = 400
# Variables whose values a helper may write when it fails.
_SECRET_VARIABLE = re.compile("SECRET|TOKEN|PASSWORD|ACCESS_KEY|IDENTITY_HEADER")
_MAX_AUTH_FILE_BYTES = 4 * 1024 * 1024
# Ends with the process, so a fingerprint says nothing to anybody else.
_FINGERPRINT_KEY = os.urandom(32)


@dataclass(frozen=True)
class Credential:
    """What proves to one registry who we are.

    `source` names where it was found, for messages; it has no secret in it.
    """

    source: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def basic(self) -> str | None:
        """The value of a Basic `Authorization` header (RFC 7617), if there is a password."""
        if not self.password:
            return None
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    def fingerprint(self) -> str:
        """A keyed hash of everything: equal as long as source, user and secrets are.

        It is different in every process.
        """
        parts = (self.source, self.username, self.password, self.identity_token)
        content = repr((*parts, self.registry_token)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, key=_FINGERPRINT_KEY, digest_size=16).hexdigest()


@dataclass(frozen=True)
class AuthFile:
    """The content of an auth file; keys are normalised to `host[:port][/namespace]`."""

    path: str
    auths: Mapping[str, Mapping[str, Any]] = field(repr=False)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str = ""


def auth_file_paths(env: Mapping[str, str]) -> tuple[str, ...]:
    """Paths to look at, first match wins: those that the environment names, docker's, podman's."""
    home = env.get("HOME", "")
    paths = []
    if env.get("REGISTRY_AUTH_FILE"):
        paths.append(env["REGISTRY_AUTH_FILE"])
    if env.get("DOCKER_CONFIG"):
        paths.append(os.path.join(env["DOCKER_CONFIG"], "config.json"))
    elif home:
        paths.append(os.path.join(home, ".docker", "config.json"))
    if env.get("XDG_RUNTIME_DIR"):
        paths.append(os.path.join(env["XDG_RUNTIME_DIR"], "containers", "auth.json"))
    config_home = env.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else "")
    if config_home:
        paths.append(os.path.join(config_home, "containers", "auth.json"))
    return tuple(dict.fromkeys(paths))


def read_auth_file(path: str) -> AuthFile | None:
    """Read an auth file; None if there is none.

    :raises KoPantsError: it is unreadable or no JSON object. The message does not show its content.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_AUTH_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise KoPantsError(
            f"cannot read the registry credentials in {path}: {e.strerror}; make it readable or "
            "unset the variable that names it"
        ) from None
    if not content.strip():
        return None
    try:
        obj = json.loads(content)
    except (ValueError, RecursionError):
        obj = None
    if not isinstance(obj, dict):
        raise KoPantsError(
            f"the registry credentials in {path} are no JSON object; repair the file, or remove it "
            "and log in again (`docker login`, `podman login`)"
        )

    def mapping(key: str) -> Mapping[str, Any]:
        value = obj.get(key)
        return value if isinstance(value, dict) else {}

    store = obj.get("credsStore")
    return AuthFile(
        path,
        {_normal(k): v for k, v in mapping("auths").items() if isinstance(v, dict)},
        {_normal(k): v for k, v in mapping("credHelpers").items() if isinstance(v, str)},
        store if isinstance(store, str) else "",
    )


def _normal(key: str) -> str:
    """A key such as `https://index.docker.io/v1/` as `host[:port][/namespace]`."""
    rest = key.partition("://")[2] or key
    rest = rest.rstrip("/")
    for suffix in ("/v1", "/v2"):
        if rest.endswith(suffix):
            rest = rest[: -len(suffix)]
    return rest


def lookup_keys(registry: str, repository: str) -> tuple[str, ...]:
    """The keys of `registry/repository`, the most specific first (containers-auth.json(5))."""
    hosts = _HUB_KEYS if registry in _HUB_KEYS else (registry,)
    parts = repository.split("/") if repository else []
    namespaces = ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return tuple(f"{h}/{n}" for n in namespaces for h in hosts) + hosts


class CredentialStore:
    """The credentials of one run. Thread-safe.

    Files are read once, and a helper runs once per host.
    Nothing is read before somebody asks for a credential.
    """

    def __init__(self, env: Mapping[str, str], redactor: Redactor) -> None:
        self._env = env
        self._redactor = redactor
        self._lock = threading.Lock()
        self._files: tuple[AuthFile, ...] | None = None
        self._helped: dict[tuple[str, str], Credential | None] = {}
        self._problems: dict[str, str] = {}

    def get(self, registry: str, repository: str = "") -> Credential | None:
        """The credential for a repository; None means anonymous.

        A helper that fails is logged once and counts as no credential, because a public image can
        still be pulled. `describe` has the reason for where it cannot.

        :raises KoPantsError: an auth file is broken.
        """
        keys = lookup_keys(registry, repository)
        with self._lock:
            files = self._read()
            for file in files:
                for credential in self._candidates(file, keys, registry):
                    if credential is not None:
                        return credential
        return None

    def configured(self, registry: str) -> bool:
        """True if some auth file has an entry or a helper for the host. No helper is run."""
        hosts = set(lookup_keys(registry, ""))
        with self._lock:
            try:
                files = self._read()
            except KoPantsError:
                return False
        return any(
            file.store
            or any(key.partition("/")[0] in hosts for key in {**file.auths, **file.helpers})
            for file in files
        )

    def describe(self, registry: str, repository: str) -> str:
        """Whose credentials were used, for the message of an error; if there are none, what to do.

        :raises KoPantsError: an auth file is broken.
        """
        credential = self.get(registry, repository)
        if credential is not None:
            return f"the credentials are those of {credential.source}"
        problem = self._problems.get(registry)
        if problem:
            return f"there are no credentials: {problem}"
        return (
            f"no credentials for it were found; log in with `docker login {registry}` or "
            f"`podman login {registry}`"
        )

    def _read(self) -> tuple[AuthFile, ...]:
        if self._files is None:
            found = (read_auth_file(path) for path in auth_file_paths(self._env))
            self._files = tuple(file for file in found if file is not None)
        return self._files

    def _candidates(
        self, file: AuthFile, keys: tuple[str, ...], registry: str
    ) -> Iterator[Credential | None]:
        for key in keys:
            if key in file.helpers:
                yield self._help(file.helpers[key], key, registry)
            if key in file.auths:
                yield self._entry(file, key)
        if file.store:
            yield self._help(file.store, registry, registry)

    def _entry(self, file: AuthFile, key: str) -> Credential | None:
        entry = file.auths[key]

        def text(name: str) -> str:
            value = entry.get(name)
            return value if isinstance(value, str) else ""

        username, password = text("username"), text("password")
        if text("auth"):
            try:
                decoded = base64.b64decode(text("auth"), validate=False).decode()
            except (binascii.Error, ValueError):
                decoded = ""
            username, colon, password = decoded.partition(":")
            if not colon:
                raise KoPantsError(
                    f"the entry {key!r} of {file.path} has an `auth` that is not base64 of "
                    "`user:password`; log in again (`docker login`, `podman login`)"
                )
            password = password.rstrip("\0")
        credential = Credential(
            f"{key!r} in {file.path}",
            username,
            password,
            text("identitytoken"),
            text("registrytoken"),
        )
        return self._keep(credential)

    def _keep(self, credential: Credential) -> Credential | None:
        secrets = (credential.password, credential.identity_token, credential.registry_token)
        if not any(secrets):
            return None
        self._redactor.add([*secrets, f"{credential.username}:{credential.password}"])
        return credential

    def _help(self, helper: str, server: str, registry: str) -> Credential | None:
        server = _HUB_SERVER if server in _HUB_KEYS else server
        if (helper, server) not in self._helped:
            try:
                self._helped[helper, server] = self._keep(self._run(helper, server))
            except _HelperFailed as e:
                self._helped[helper, server] = None
                if str(e):
                    self._problems[registry] = str(e)
                    logger.warning("%s; going on without credentials for %s", e, registry)
        return self._helped[helper, server]

    def _run(self, helper: str, server: str) -> Credential:
        name = f"docker-credential-{helper}"
        program = shutil.which(name, path=self._env.get("PATH") or os.defpath)
        if program is None or os.sep in helper:
            raise _HelperFailed(f"the credential helper {name} is not on PATH")
        # A file, not a pipe: a helper may start a key agent, which keeps a pipe open for ever.
        with tempfile.TemporaryFile() as errors:
            try:
                done = subprocess.run(
                    [program, "get"],
                    input=server.encode(),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=dict(self._env),
                    timeout=_HELPER_TIMEOUT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._failed(name, "took over a minute", errors) from None
            except OSError as e:
                raise _HelperFailed(
                    f"the credential helper {name} cannot run: {e.strerror}"
                ) from None
            output = done.stdout.decode("utf-8", "replace").strip()
            if done.returncode != 0:
                # This text is the protocol's way to say that there is no entry.
                if "credentials not found" in output:
                    raise _HelperFailed("")
                what = f"failed with exit code {done.returncode}"
                raise self._failed(name, what, errors, output)
        return self._credential_of(name, output)

    def _failed(self, name: str, what: str, errors: BinaryIO, output: str = "") -> _HelperFailed:
        """The reason, from what a helper wrote, and what it may lack.

        :param errors: its standard error, of which the end is shown.
        """
        self._redactor.add(
            value
            for variable, value in self._env.items()
            if _SECRET_VARIABLE.search(variable) and not variable.endswith("_FILE")
        )
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - _SHOWN_ERROR_BYTES))
        told = errors.read().decode("utf-8", "replace").strip()
        said = [printable(self._redactor(text), _SHOWN_ERROR_BYTES) for text in (output, told)]
        reason = "; ".join(text for text in dict.fromkeys(said) if text)
        return _HelperFailed(
            f"the credential helper {name} {what}{': ' if reason else ''}{reason} (of the "
            "environment it gets only what [ko].registry_env_vars names; add there what it lacks)"
        )

    def _credential_of(self, name: str, output: str) -> Credential:
        try:
            obj = json.loads(output)
            username, secret = obj["Username"], obj["Secret"]
        except (ValueError, KeyError, TypeError):
            username, secret = None, None
        if not isinstance(username, str) or not isinstance(secret, str):
            raise _HelperFailed(f"the credential helper {name} answered no Username and Secret")
        source = f"the credential helper {name}"
        if username == "<token>":
            return Credential(source, identity_token=secret)
        return Credential(source, username, secret)


class _HelperFailed(Exception):
    """A helper gave no credential. The text says why; it is empty if the helper has no entry."""
