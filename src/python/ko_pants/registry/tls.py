"""TLS contexts: which authorities are trusted, and which certificate is shown."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Mapping

from ko_pants.errors import KoPantsError


def certificate_directories(env: Mapping[str, str], netloc: str) -> tuple[str, ...]:
    """Where docker and podman look for a registry's own certificates (certs.d(5))."""
    roots = ["/etc/docker/certs.d", "/etc/containers/certs.d"]
    if env.get("HOME"):
        roots.append(os.path.join(env["HOME"], ".config", "containers", "certs.d"))
    return tuple(os.path.join(root, netloc) for root in roots)


# Reading the system's authorities takes longer than all else of a run that finds nothing to do.
_MAX_CONTEXTS = 32
_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}


def find_context(
    netloc: str,
    env: Mapping[str, str],
    ca_certs_path: str | None,
    client_cert: tuple[str, str] | None,
) -> ssl.SSLContext:
    """As `make_context`; the one of an earlier run if no file that it was made of has changed."""
    bundle = ca_certs_path or env.get("SSL_CERT_FILE") or None
    certificates, client_cert = _certificates(netloc, env, client_cert)
    files = [*certificates, *(client_cert or ())]
    if bundle is None:
        system = ssl.get_default_verify_paths()
        files += [path for path in (system.cafile, system.capath) if path]
    else:
        files.append(bundle)
    try:
        states = tuple((path, _state(path)) for path in files)
    except OSError:
        return make_context(netloc, env, ca_certs_path, client_cert)
    key = (bundle, client_cert, states)
    context = _contexts.get(key)
    if context is None:
        context = make_context(netloc, env, ca_certs_path, client_cert)
        while len(_contexts) >= _MAX_CONTEXTS:
            _contexts.pop(next(iter(_contexts)), None)
        _contexts[key] = context
    return context


def _state(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _certificates(
    netloc: str, env: Mapping[str, str], client_cert: tuple[str, str] | None
) -> tuple[list[str], tuple[str, str] | None]:
    """The authorities of `certs.d`, and the client certificate: `client_cert`, else theirs."""
    authorities = []
    for directory in certificate_directories(env, netloc):
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            path = os.path.join(directory, name)
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert") and client_cert is None:
                client_cert = (path, path[: -len(".cert")] + ".key")
    return authorities, client_cert


def make_context(
    netloc: str,
    env: Mapping[str, str],
    ca_certs_path: str | None,
    client_cert: tuple[str, str] | None,
) -> ssl.SSLContext:
    """A verifying client context for one host.

    Trusted are `ca_certs_path`, or SSL_CERT_FILE, or the system's and certifi's authorities; then
    the `*.crt` of `certs.d/<host:port>`, whose `*.cert` and `*.key` are shown where `client_cert`
    is None.

    :raises KoPantsError: a file is missing or no PEM.
    """
    bundle = ca_certs_path or env.get("SSL_CERT_FILE") or None
    try:
        context = ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as e:
        raise KoPantsError(
            f"cannot read the CA certificates in {bundle}: {e.strerror or e}; "
            "expected a file in PEM format"
        ) from None
    # On by default since Python 3.13; the authorities that companies make for themselves often fail
    # it (no key usage), and Go's clients and docker take them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if bundle is None:
        import certifi

        context.load_verify_locations(certifi.where())
    authorities, client_cert = _certificates(netloc, env, client_cert)
    for path in authorities:
        _load(context, path)
    if client_cert is not None:
        try:
            context.load_cert_chain(*client_cert)
        except (OSError, ssl.SSLError) as e:
            raise KoPantsError(
                f"cannot use the client certificate {client_cert[0]} with the key {client_cert[1]} "
                f"for {netloc}: {e.strerror or e}; expected two PEM files that belong together"
            ) from None
    return context


def _load(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as e:
        raise KoPantsError(f"cannot read the CA certificate {path}: {e.strerror or e}") from None


def speaks_tls(host: str, port: int, timeout: float) -> bool:
    """True if a TLS handshake with `host` succeeds; nothing is verified, and nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout) as raw, context.wrap_socket(raw):
            return True
    except ssl.SSLError as e:
        # An alert (say, for want of a client certificate) comes from one who speaks TLS.
        return "alert" in str(e).lower()
    except OSError:
        return False
