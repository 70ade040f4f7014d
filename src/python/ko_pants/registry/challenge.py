"""`WWW-Authenticate` challenges and the scopes of registry tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import FrozenSet, Iterable, Mapping, Tuple

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAM = re.compile(
    r"(?P<key>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^\s,\"]*))"
)
_SPACE = re.compile(r"[\s,]*")

#: What a token allows: (type, name, action) triples, so that merging is union.
Scopes = FrozenSet[Tuple[str, str, str]]
NO_SCOPES: Scopes = frozenset()

#: What a request does with a repository, as a token has to allow it.
Actions = Tuple[str, ...]
PULL: Actions = ("pull",)
PUSH: Actions = ("pull", "push")


@dataclass(frozen=True)
class Challenge:
    """One challenge: the scheme and the names of its parameters are lower case."""

    scheme: str
    params: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a `WWW-Authenticate` header (RFC 9110, 11.6.1), several in one included.

    Malformed parts are skipped, because a registry that sends them may still be usable.
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(header):
        at = _skip(header, at)
        param = _PARAM.match(header, at)
        if param and challenges:
            quoted = param["quoted"]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else param["plain"]
            challenges[-1][1].setdefault(param["key"].lower(), value)
            at = param.end()
            continue
        scheme = _TOKEN.match(header, at)
        if scheme:
            challenges.append((scheme[0].lower(), {}))
            at = scheme.end()
        else:
            at += 1
    return tuple(Challenge(scheme, params) for scheme, params in challenges)


def choose_challenge(header: str) -> Challenge | None:
    """The challenge to answer: the first Bearer with a realm, else the first Basic."""
    challenges = parse_challenges(header)
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.params.get("realm"):
            return challenge
    return next((c for c in challenges if c.scheme == "basic"), None)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def repository_scopes(repository: str, actions: Iterable[str]) -> Scopes:
    """The scopes for `actions` (pull, push, delete) on a repository."""
    return frozenset(("repository", repository, action) for action in actions)


def parse_scopes(text: str) -> Scopes:
    """Read `type:name:action,action ...` (distribution's token scope); other words are skipped."""
    scopes = set()
    for word in text.split():
        kind, _, rest = word.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind and name:
            scopes |= {(kind, name, action) for action in actions.split(",") if action}
    return frozenset(scopes)


def format_scopes(scopes: Scopes) -> tuple[str, ...]:
    """One `type:name:action,action` for each resource, in a fixed order."""
    actions: dict[tuple[str, str], list[str]] = {}
    for kind, name, action in sorted(scopes):
        actions.setdefault((kind, name), []).append(action)
    return tuple(f"{kind}:{name}:{','.join(found)}" for (kind, name), found in actions.items())
