"""Linux file capabilities: from names to the extended attribute `security.capability`.

The names are those of ko's field `linux_capabilities`: names as in docker's `--cap-add`, numbers,
and clauses of cap_from_text(3). Numbers and layout are those of linux/capability.h (revision 2).
"""

from __future__ import annotations

import struct
from typing import Iterable

from ko_pants.errors import KoPantsError

# In the order of the kernel: the position of a capability is its number.
_NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
_MASKS = {name: 1 << number for number, name in enumerate(_NAMES)}
_ALL_KNOWN = (1 << len(_NAMES)) - 1
_ALL_BITS = (1 << 64) - 1
_REVISION_2 = 0x02000000
_EFFECTIVE = 1


def capabilities_xattr(terms: Iterable[str]) -> bytes:
    """The attribute's 20 bytes; no bytes if the terms leave no capability set.

    A term is one capability (`net_bind_service`, `CAP_CHOWN`, `all`, `42`), which becomes
    permitted, or a clause such as `chown,net_raw=pe`. Terms apply in order.

    :raises KoPantsError: a capability or a flag does not exist.
    """
    sets = {"p": 0, "i": 0, "e": 0}
    for term in terms:
        start = next((i for i, letter in enumerate(term) if letter in "+-="), None)
        if start is None:
            sets["p"] |= _mask(term, term)
            continue
        names, actions = term[:start], term[start:]
        if not names and actions[0] == "=":
            names = "all"
        mask = 0
        for name in names.split(","):
            mask |= _mask(name, term)
        keep = _ALL_BITS
        for action in actions:
            if action == "+":
                keep = _ALL_BITS
            elif action == "-":
                keep = _ALL_BITS & ~mask
            elif action == "=":
                keep = _ALL_BITS
                sets = {flag: bits & ~mask for flag, bits in sets.items()}
            elif action in sets:
                sets[action] = (sets[action] | mask) & keep
            else:
                raise KoPantsError(
                    f"Linux capabilities {term!r}: unknown flag {action!r}; expected 'p', 'i' or "
                    "'e' after '=', '+' or '-'."
                )
    permitted, inheritable = sets["p"], sets["i"]
    if not permitted and not inheritable:
        return b""
    low = 0xFFFFFFFF
    return struct.pack(
        "<5I",
        _REVISION_2 | (_EFFECTIVE if sets["e"] else 0),
        permitted & low,
        inheritable & low,
        permitted >> 32,
        inheritable >> 32,
    )


def _mask(name: str, term: str) -> int:
    if name.isascii() and name.isdigit() and int(name) < 64:
        return 1 << int(name)
    upper = name.upper()
    if upper == "ALL":
        return _ALL_KNOWN
    mask = _MASKS.get(upper[4:] if upper.startswith("CAP_") else upper)
    if mask is None:
        raise KoPantsError(
            f"Linux capabilities {term!r}: unknown capability {name!r}; expected a name of "
            "capabilities(7) such as 'net_bind_service' or 'CAP_NET_BIND_SERVICE', 'all', or a "
            "number below 64."
        )
    return mask
