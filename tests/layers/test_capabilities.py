from __future__ import annotations

import struct

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.capabilities import capabilities_xattr

_ALL = (1 << 41) - 1


def _xattr(permitted: int = 0, inheritable: int = 0, *, effective: bool = False) -> bytes:
    """`struct vfs_cap_data` of linux/capability.h, revision 2."""
    low = 0xFFFFFFFF
    magic = 0x02000000 | effective
    words = (permitted & low, inheritable & low, permitted >> 32, inheritable >> 32)
    return struct.pack("<5I", magic, *words)


# The cases of ko's own table (pkg/caps) and more.
@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], b""),
        (["chown", "dac_override", "dac_read_search"], _xattr(7)),
        (["CAP_CHOWN", "Dac_Override", "cap_dac_read_search"], _xattr(7)),
        (["chown,dac_override,dac_read_search=p"], _xattr(7)),
        (["chown,dac_override,dac_read_search=i"], _xattr(0, 7)),
        (["chown,dac_override,dac_read_search=e"], b""),
        (["chown,dac_override,dac_read_search=pe"], _xattr(7, effective=True)),
        (["=pe"], _xattr(_ALL, effective=True)),
        (["all=p"], _xattr(_ALL)),
        (["chown=ie", "chown=p"], _xattr(1)),
        (["chown=ie", "chown="], b""),
        (["chown=ie", "chown+p"], _xattr(1, 1, effective=True)),
        (["chown=pie", "dac_override,chown-p"], _xattr(0, 1, effective=True)),
        (["chown+pi-i"], _xattr(1)),
        (["net_bind_service"], _xattr(1 << 10)),
        (["checkpoint_restore"], _xattr(1 << 40)),
        (["42", "63", "007"], _xattr(1 << 42 | 1 << 63 | 1 << 7)),
        (["="], b""),
        # A number that no name has, taken away and given again.
        (["63=pi", "63-i"], _xattr(1 << 63)),
        (["63=p", "chown-p", "chown+i"], _xattr(1 << 63, 1)),
        (["32=i"], _xattr(0, 1 << 32)),
    ],
)
def test_terms(terms: list[str], expected: bytes) -> None:
    assert capabilities_xattr(terms) == expected


# In the order of linux/capability.h, where the first is 0.
_KERNEL = (
    *("chown", "dac_override", "dac_read_search", "fowner"),
    *("fsetid", "kill", "setgid", "setuid"),
    *("setpcap", "linux_immutable", "net_bind_service", "net_broadcast"),
    *("net_admin", "net_raw", "ipc_lock", "ipc_owner"),
    *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace"),
    *("sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
    *("sys_resource", "sys_time", "sys_tty_config", "mknod"),
    *("lease", "audit_write", "audit_control", "setfcap"),
    *("mac_override", "mac_admin", "syslog", "wake_alarm"),
    *("block_suspend", "audit_read", "perfmon", "bpf"),
    *("checkpoint_restore",),
)


def test_every_capability_has_the_number_of_the_kernel() -> None:
    for number, name in enumerate(_KERNEL):
        bit = 1 << number
        assert capabilities_xattr([name]) == _xattr(bit), name
        assert capabilities_xattr([f"cap_{name}=ei"]) == _xattr(0, bit, effective=True), name


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("fly", "Linux capabilities 'fly': unknown capability 'fly'; expected a name of"),
        ("chown,fly=p", "Linux capabilities 'chown,fly=p': unknown capability 'fly'; expected"),
        ("X", "Linux capabilities 'X': unknown capability 'X'; expected"),
        ("\u00b2", "unknown capability '\u00b2'"),
    ],
)
def test_a_mistake_is_named_with_its_term(term: str, message: str) -> None:
    with pytest.raises(KoPantsError) as e:
        capabilities_xattr([term])
    assert message in str(e.value)


@pytest.mark.parametrize("term", ["fly", "64", "-1", "", "cap_", "chown,=pie", "-pie", "+pie"])
def test_unknown_capabilities_are_refused(term: str) -> None:
    with pytest.raises(KoPantsError, match="unknown capability"):
        capabilities_xattr([term])


def test_unknown_flags_are_refused() -> None:
    with pytest.raises(KoPantsError, match="'chown=x': unknown flag 'x'"):
        capabilities_xattr(["chown=x"])
