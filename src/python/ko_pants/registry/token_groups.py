"""Which repositories share a token: those that a run is going to push to, in groups.

A token server grants several repositories in one answer (distribution, "Token Authentication
Specification": `scope` may be repeated). A request for each of fifty images would be most of a
publish that has nothing to do. Not every server takes several scopes: some answer 400, some grant
the first or the last one alone. Then each repository asks alone, and the daemon remembers that.
"""

from __future__ import annotations

import logging
import threading
from typing import Callable, Iterable, Sequence, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import PUSH, Scopes, format_scopes, repository_scopes

logger = logging.getLogger(__name__)

# The token grows with what it allows, by about 90 bytes for a repository where it is a JWT, and
# goes along with every request. A proxy takes a header of 8 KiB (the default of nginx and Apache),
# and Quay has refused longer ones. With 25 repositories a few HEADs in a row still fit into the
# first packets of a connection.
MAX_REPOSITORIES = 25
# The same for the URL, whose length many servers bound at 8 KiB, and for tokens of long names.
MAX_SCOPE_BYTES = 3000
# After so many groups in a row that a server did not grant, it is asked for no more. A refusal that
# may pass (429, 5xx, no reply) counts as one, a definite one as all.
_ENOUGH_REFUSALS = 2

#: Realm and service.
TokenServer = Tuple[str, str]

_refusals: BoundedMemory[TokenServer, int] = BoundedMemory(
    name="registry.token_groups: refusals",
    bound=256,
    holds="how often token servers refused several repositories in one request; such a server is "
    "asked for one at a time, which is right for every server",
)


class TokenGroups:
    """The groups of one run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: dict[str, dict[str, Scopes]] = {}
        self._alone: set[tuple[str, str]] = set()
        self._given_up: set[TokenServer] = set()

    def expect(self, repositories: Iterable[Reference]) -> None:
        """Note that the run is going to push to these."""
        with self._lock:
            for ref in repositories:
                expected = self._expected.setdefault(ref.registry, {})
                if ref.repository not in expected:
                    expected[ref.repository] = repository_scopes(ref.repository, PUSH)

    def others(self, server: TokenServer, ref: Reference, scopes: Scopes) -> Sequence[str]:
        """The repositories that may share a token with that of `ref`, those to come next first.

        There are none if it is not expected, or `scopes` do not include a push to it.
        """
        with self._lock:
            expected = self._expected.get(ref.registry, {})
            own = expected.get(ref.repository)
            if own is None or not own <= scopes or not self.takes_groups(server):
                return ()
            if (ref.registry, ref.repository) in self._alone:
                return ()
            names = list(expected)
            # Each thread has a row of its own: they ask for different groups.
            at = names.index(ref.repository)
            names = names[at + 1 :] + names[:at]
            return [name for name in names if (ref.registry, name) not in self._alone]

    def widen(
        self,
        server: TokenServer,
        ref: Reference,
        others: Sequence[str],
        scopes: Scopes,
        covered: Callable[[Scopes], bool],
    ) -> Scopes:
        """`scopes` of a request about `ref`, and those of `others` that are not `covered` yet.

        What `scopes` names beside the repository of `ref`, such as a repository to mount from, the
        others will most likely need too.
        """
        if not self.takes_groups(server):
            return scopes
        own = self._expected[ref.registry][ref.repository]
        beside = scopes - own
        resources = format_scopes(scopes)
        count, size = len(resources), sum(map(len, resources))
        wanted = scopes
        for name in others:
            if count >= MAX_REPOSITORIES:
                break
            more = self._expected[ref.registry][name]
            # What is covered takes no room, however much of it comes first.
            if more <= wanted or covered(more | beside):
                continue
            size += len(name) + len("&scope=repository::pull%2Cpush")
            if size > MAX_SCOPE_BYTES:
                break
            wanted |= more
            count += 1
        return wanted

    def ask_alone(self, registry: str, repository: str) -> None:
        """Let a repository share no token in this run."""
        with self._lock:
            self._alone.add((registry, repository))

    def asks_alone(self, ref: Reference) -> bool:
        """True after `ask_alone`."""
        return (ref.registry, ref.repository) in self._alone

    def give_up(self, server: TokenServer) -> None:
        """Ask a server for one repository at a time in this run."""
        with self._lock:
            self._given_up.add(server)

    def note_granted(self, server: TokenServer) -> None:
        """A server has granted a group."""
        with self._lock:
            if 0 < _refusals.get(server, 0) < _ENOUGH_REFUSALS:
                _refusals.pop(server)

    def note_refused(self, server: TokenServer, *, definite: bool) -> None:
        """A server has not granted to a group what it grants to one repository.

        :param definite: it will do so the next time too.
        """
        self.give_up(server)
        with self._lock:
            before = _refusals.get(server, 0)
            if before >= _ENOUGH_REFUSALS:
                return
            now = _ENOUGH_REFUSALS if definite else before + 1
            _refusals.put(server, now)
        if now >= _ENOUGH_REFUSALS:
            logger.debug(
                "the token server of %s grants one repository at a time; it is asked for each",
                server[1] or server[0].partition("?")[0],
            )

    def takes_groups(self, server: TokenServer) -> bool:
        """False if a server has to be asked for one repository at a time."""
        return server not in self._given_up and _refusals.get(server, 0) < _ENOUGH_REFUSALS
