"""TLS contexts: which authorities are trusted, and which client certificate is shown."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import Mapping, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError


def certificate_directories(env: Mapping[str, str], netloc: str) -> tuple[str, ...]:
    """Where docker and podman look for a registry's own certificates (certs.d(5)).

    `~/.docker/certs.d` is that of Docker Desktop, for Macs.
    """
    roots = ["/etc/docker/certs.d", "/etc/containers/certs.d"]
    if env.get("HOME"):
        roots.append(os.path.join(env["HOME"], ".config", "containers", "certs.d"))
        roots.append(os.path.join(env["HOME"], ".docker", "certs.d"))
    return tuple(os.path.join(root, netloc) for root in roots)


_FileState = Tuple[int, int, int]


@dataclass(frozen=True)
class _Sources:
    """The files that a context is made of.

    :param bundle: the authorities; None: those of the system and certifi.
    :param authorities: files with further authorities.
    :param client_cert: certificate and key to show.
    """

    bundle: str | None
    authorities: tuple[str, ...]
    client_cert: tuple[str, str] | None

    def states(self) -> tuple[_FileState, ...]:
        """Inode, size and modification time (ns) of each file: different once a file is.

        :raises OSError: a file is missing.
        """
        if self.bundle is not None:
            bundles = [self.bundle]
        else:
            system = ssl.get_default_verify_paths()
            bundles = [path for path in (system.cafile, system.capath) if path]
        files = (*bundles, *self.authorities, *(self.client_cert or ()))
        return tuple(
            (found.st_ino, found.st_size, found.st_mtime_ns) for found in map(os.stat, files)
        )


# Reading the system's authorities takes longer than everything else in a run with nothing to do.
_contexts: BoundedMemory[tuple[_Sources, tuple[_FileState, ...]], ssl.SSLContext] = BoundedMemory(
    name="TLS contexts",
    bound=32,
    holds="the certificates that were read from files; the key has the state of each file, so a "
    "changed file is read again",
)


def find_context(
    netloc: str,
    env: Mapping[str, str],
    ca_certs_path: str | None,
    client_cert: tuple[str, str] | None,
) -> ssl.SSLContext:
    """A verifying client context for one host. Hosts with the same files share one.

    It trusts the authorities in `ca_certs_path`; without that, those in SSL_CERT_FILE; without
    that, the system's and certifi's. It also trusts the `*.crt` in `certs.d/<host:port>`. It shows
    `client_cert` to the server, or the `*.cert` and `*.key` in that directory. A context of an
    earlier run is used again if none of its files has changed.

    :raises KoPantsError: a file is missing or no PEM.
    """
    sources = _find_sources(netloc, env, ca_certs_path, client_cert)
    try:
        key = (sources, sources.states())
    except OSError:
        return _make_context(netloc, sources)  # which names what is missing
    context = _contexts.get(key)
    if context is None:
        context = _make_context(netloc, sources)
        _contexts.put(key, context)
    return context


def _find_sources(
    netloc: str,
    env: Mapping[str, str],
    ca_certs_path: str | None,
    client_cert: tuple[str, str] | None,
) -> _Sources:
    authorities = []
    for directory in certificate_directories(env, netloc):
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            path = os.path.join(directory, name)
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert") and client_cert is None:
                client_cert = (path, path[: -len(".cert")] + ".key")
    bundle = ca_certs_path or env.get("SSL_CERT_FILE") or None
    return _Sources(bundle, tuple(authorities), client_cert)


def _make_context(netloc: str, sources: _Sources) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=sources.bundle)
    except (OSError, ssl.SSLError) as e:
        raise KoPantsError(
            f"cannot read the CA certificates in {sources.bundle}: {e.strerror or e}; "
            "expected a file in PEM format"
        ) from None
    # The flag is on by default since Python 3.13. Authorities that companies make for themselves
    # often fail it (no key usage), while Go's clients and docker accept them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if sources.bundle is None:
        import certifi

        context.load_verify_locations(certifi.where())
    for path in sources.authorities:
        _load(context, path)
    if sources.client_cert is not None:
        certificate, key = sources.client_cert
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as e:
            raise KoPantsError(
                f"cannot use the client certificate {certificate} with the key {key} "
                f"for {netloc}: {e.strerror or e}; expected two PEM files that belong together"
            ) from None
    return context


def _load(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as e:
        raise KoPantsError(f"cannot read the CA certificate {path}: {e.strerror or e}") from None


def speaks_tls(host: str, port: int, timeout: float) -> bool:
    """True if a TLS handshake with `host` succeeds within `timeout` seconds.

    Nothing is verified, and nothing is sent after it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout) as raw, context.wrap_socket(raw):
            return True
    except ssl.SSLError as e:
        # A server that sends an alert (for example, as it wants a client certificate) speaks TLS.
        return "alert" in str(e).lower()
    except OSError:
        return False
