"""Every shell text of the product, and what it calls: nothing that only Linux or GNU has.

A pattern is a fault that was made or could be. Whoever needs one of these adds the way for other
systems, and an exception here. Nothing of this was run on macOS.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from posix_shells import command_of, in_every_shell
from python_source import assigned

from ko_pants.golang.private_environment import split_environment

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "src" / "python" / "ko_pants"
SCRIPTS = (
    "pants",
    *("scripts/buildgrid", "scripts/environment.sh", "scripts/own"),
    *("scripts/test", "scripts/mutate", "scripts/docs", "scripts/release", "scripts/lint"),
)

# Where a command begins.
_START = r"(?:^|[|;&(){!]|\b(?:then|do|else|if|while|until|exec|command)\b|\b[A-Z_]+=\S*\s)\s*"

# (what is not portable, why, a text that has it)
GNU_ONLY: Tuple[Tuple[str, str, str], ...] = (
    (_START + r"realpath\b", "macOS 13", "x=$(realpath y)"),
    (r"\breadlink\s+-", "macOS 12.3 for -f; POSIX has only -n", "readlink -f x"),
    (r"\bln\s+-(?![sf]+\s)", "POSIX has -f, -s, -L, -P; macOS before 12 no -L", "ln -L a b"),
    (r"\bcp\s+-(?![fipPR]+\s)", "POSIX has -f, -i, -p, -P, -R (-L and -H with -R)", "cp -a x y"),
    (r"\bmv\s+-(?![fi]+\s)", "POSIX has -f and -i", "mv -T x y"),
    (r"\brm\s+-(?![firR]+\s)", "POSIX has -f, -i, -r", "rm --one-file-system x"),
    (r"\bmkdir\s+-(?![pm]+\s)", "POSIX has -p and -m", "mkdir -v x"),
    (
        r"\bsed\s+-(?![nefE]+\s)",
        "BSD's -i takes a suffix, and there is no -r, -z",
        "sed -i s/a/b/ f",
    ),
    (r"\bgrep\s+-\w*[PzoRr]", "BSD has no -P and another -z", "grep -oP x"),
    (r"\bsort\s+-\w*[VhRzs]", "not in POSIX", "sort -V"),
    (r"\bxargs\s+-\w*[rda0]", "not in POSIX", "xargs -r rm"),
    (r"\bhead\s+-n\s*-", "GNU", "head -n -1"),
    (r"\btail\s+-[sq]", "GNU", "tail -s 1"),
    (r"\bcut\s+-\w*[zs]*z|\bcut\s+--", "GNU", "cut --complement -c1"),
    (r"\bod\s+-\w*w", "GNU", "od -w4"),
    (r"\buniq\s+-\w*[Dwz]", "GNU", "uniq -w3"),
    (
        r"\bfind\b[^|;&]*-(printf|maxdepth|mindepth|newerXY|regex|delete)",
        "not in POSIX",
        "find . -printf x",
    ),
    (r"\btouch\s+-\w*d", "before POSIX 2008 there is none; BSD's differs", "touch -d yesterday x"),
    (r"\bdate\s+(-|\+\S*%N)", "BSD's -d, -I and -r are others", "date -Iseconds"),
    (_START + r"stat\s", "BSD has -f and other letters", "stat -c %s x"),
    (_START + r"mktemp\b", "not in POSIX; templates differ", "t=$(mktemp -d)"),
    (_START + r"(sha\d+sum|md5sum|base64)\b", "macOS has shasum, md5", "sha256sum x"),
    (
        _START
        + r"(flock|timeout|setsid|nproc|tac|shuf|seq|truncate|numfmt|getopt|install|pidof)\b",
        "not in POSIX",
        "if flock 9; then x; fi",
    ),
    (_START + r"which\b", "not in POSIX: command -v", "which go"),
    (r"/proc/|/dev/shm|/sys/|/etc/os-release|ldconfig", "Linux", "ls /proc/self/fd"),
    (
        r"\b(ls|cp|mv|rm|ln|mkdir|grep|sed|sort|head|tail|tar|touch|cut|tr|wc|cat|chmod|du)\b"
        r"[^|;&\n\"']*\s--[a-z]",
        "long options are GNU's",
        "rm --force x",
    ),
)
# What /bin/sh of macOS (bash 3.2 as sh), dash or busybox has not, or does otherwise.
NOT_SH: Tuple[Tuple[str, str, str], ...] = (
    (r"\[\[", "not in POSIX", "[[ a = b ]]"),
    (r"\[ [^]]*\s==\s", "dash: =", "[ a == b ]"),
    (
        _START + r"(local|declare|typeset|mapfile|readarray|shopt|source|function|let)\b",
        "bash",
        "local x",
    ),
    (r"pipefail", "POSIX 2024 only", "set -o pipefail"),
    (r"<<<|[<>]\([^(]|&>|\|&", "bash", "cat <<< x"),
    (r"(?<![\w\"'\\])\$'", "POSIX 2024 only", "IFS=$'\\n'"),
    (r"\$\{\w+(\^|,|/|:\d|:\s+-?\d|\[|@)", "bash; 3.2 has no ${x,,}", "${x,,}"),
    (r"\w\+?=\((?!\))|\w\+=", "arrays and +=: bash", "x+=y"),
    (
        r"\$\{?(RANDOM|SECONDS|BASH\w*|E?UID|PIPESTATUS|OSTYPE|HOSTNAME|FUNCNAME)\b",
        "bash",
        "$RANDOM",
    ),
    (r"\becho\s+-[neE]", "printf: some sh print the flag", "echo -n x"),
    (r"\bprintf\s+(-v|\S*%q)", "bash", "printf -v x y"),
    (r"\bread\s+-(?!r\s)", "POSIX has only -r", "read -t 1 x"),
    (r"(?<!\d)\d\d+[<>]", "more than one digit: bash", "exec 10> x"),
    (r"\bwait\s+-n|\btrap\b.*\b(ERR|DEBUG|RETURN)\b", "bash", "trap x ERR"),
)


def _without_comments(text: str) -> str:
    """The commands of a text, each on one line."""
    return re.sub(r"\\\n\s*", " ", re.sub(r"(?m)(^|\s)#.*$", r"\1", text))


def _faults(text: str) -> List[str]:
    code = _without_comments(text)
    return [
        f"{match.group().strip()!r}: {reason}"
        for pattern, reason, _ in GNU_ONLY + NOT_SH
        for match in [re.search(pattern, code, re.MULTILINE)]
        if match
    ]


def _text(node: ast.expr, names: Dict[str, ast.expr]) -> str:
    """The text of an expression, with a word in the place of what is not a text of the module."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value, names) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, names)
    if isinstance(node, ast.Name) and node.id in names:
        return _text(names[node.id], names)
    return "WORD"


def _processes(tree: ast.Module) -> Iterator[ast.Tuple]:
    """The tuples that begin with a shell: arguments of processes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List)) and node.elts:
            first = node.elts[0]
            program = str(first.value) if isinstance(first, ast.Constant) else ""
            if re.fullmatch(r"(/\S*/)?(ba|da|z|k)?sh", program):
                assert isinstance(node, ast.Tuple)
                yield node


def shell_texts() -> Dict[str, str]:
    """Every shell text of the product by where it is."""
    found = {name: (REPO / name).read_text(encoding="utf-8") for name in SCRIPTS}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = assigned(tree)
        for node in _processes(tree):
            shell, flag, script = node.elts[:3]
            assert (_text(shell, {}), _text(flag, {})) == ("/bin/sh", "-c"), path
            assert isinstance(script, ast.Name), path
            where = f"{path.relative_to(REPO)}:{script.id}"
            found[where] = _text(script, names)
    secrets = {"HOME": "/home/o'neil", "GOPROXY": "https://user@proxy.test", "LANG": "C"}
    split = split_environment(secrets, secrets)
    found["golang/private_environment.py"] = split.file_content.decode()
    return found


def first_line(path: Path) -> str:
    """The first line of a file."""
    return path.read_text(encoding="utf-8").partition("\n")[0]


TEXTS = shell_texts()


def test_the_shell_texts_of_the_product_are_all_here() -> None:
    """A new one has to be started as `("/bin/sh", "-c", NAME, ...)`, so that this test finds it."""
    names = {where.rpartition(":")[2] for where in TEXTS}
    assert names >= {"KNOCK", "_BUILD", "_LIST", "_HEAD", "_LINK_OR_COPY"}
    everything = "".join(p.read_text(encoding="utf-8") for p in PACKAGE.rglob("*.py"))
    assert not re.search(r"shell=True|os\.system\(|os\.popen\(|BashBinary", everything)
    tracked = [
        path
        for path in (REPO / "scripts").iterdir()
        if path.is_file() and path.name != "BUILD" and "python" not in first_line(path)
    ]
    assert {f"scripts/{path.name}" for path in tracked} == {n for n in SCRIPTS if "/" in n}
    for name in SCRIPTS:
        first = TEXTS[name].splitlines()[0]
        assert first == "#!/bin/sh" or name.endswith(".sh")


@pytest.mark.parametrize("where", sorted(TEXTS))
def test_a_shell_text_has_nothing_that_only_linux_or_gnu_has(where: str) -> None:
    assert _faults(TEXTS[where]) == []


@pytest.mark.parametrize(
    ("pattern", "text"), [(pattern, text) for pattern, _, text in GNU_ONLY + NOT_SH]
)
def test_a_pattern_finds_what_it_is_for(pattern: str, text: str) -> None:
    assert re.search(pattern, f"x\n  {text}\n", re.MULTILINE)
    assert not re.search(pattern, _without_comments(f"x # {text}\n"), re.MULTILINE)


@pytest.mark.parametrize("where", sorted(TEXTS))
@in_every_shell
def test_every_shell_can_read_it(shell: str, where: str) -> None:
    done = subprocess.run(
        [*command_of(shell), "-n"], input=TEXTS[where], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Functions and constants of the standard library that not every POSIX system has.
NOT_EVERYWHERE = {
    "os": r"sched_\w+|memfd_create|MFD_\w+|copy_file_range|sendfile|splice|eventfd\w*|pidfd_open|"
    r"posix_fadvise|posix_fallocate|pipe2|fdatasync|\w*xattr|unshare|setns|getrandom|"
    r"O_(TMPFILE|PATH|DIRECT|LARGEFILE|NOATIME|RSYNC|DSYNC)|GRND_\w+|CLONE_\w+|RTLD_DEEPBIND",
    "select": r"epoll|EPOLL\w+",
    "fcntl": r"F_(SETPIPE_SZ|GETPIPE_SZ|OFD_\w+|ADD_SEALS|GET_SEALS|SETSIG|NOTIFY)|DN_\w+",
    "socket": r"AF_(NETLINK|PACKET|VSOCK|ALG)|SOCK_(CLOEXEC|NONBLOCK)|TCP_(USER_TIMEOUT|QUICKACK|"
    r"CORK|KEEPIDLE|FASTOPEN)|SO_(PEERCRED|BINDTODEVICE)|MSG_(NOSIGNAL|MORE|CMSG_CLOEXEC)",
    "signal": r"sigwaitinfo|sigtimedwait|SIGRTM\w+|SIGPWR|SIGSTKFLT|SIGPOLL",
    "mmap": r"MAP_(POPULATE|STACK|NORESERVE)|MADV_\w+",
    "time": r"CLOCK_(BOOTTIME|TAI|MONOTONIC_RAW)|clock_settime",
    "resource": r"prlimit|RLIMIT_(MSGQUEUE|NICE|RTPRIO|SIGPENDING)",
}


# Files of Linux that are read where they are; the code says what holds where they are not.
READ_IF_THERE = {"layers/chunked.py": ["/proc/loadavg"]}


def _is_guarded(function: ast.AST, attribute: str) -> bool:
    """True if a function asks with `hasattr` or `getattr` before it uses an attribute."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("hasattr", "getattr")
        and any(isinstance(a, ast.Constant) and a.value == attribute for a in node.args)
        for node in ast.walk(function)
    )


def _linux_only(source: str) -> List[str]:
    tree = ast.parse(source)
    guarded = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and _is_guarded(function, node.attr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            pattern = NOT_EVERYWHERE.get(node.value.id)
            if pattern and re.fullmatch(pattern, node.attr) and node not in guarded:
                found.append(f"{node.value.id}.{node.attr}")
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.match(r"/proc/|/dev/shm|/sys/", text):
            found.append(text)
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_python_calls_nothing_that_only_linux_has(path: Path) -> None:
    allowed = READ_IF_THERE.get(path.relative_to(PACKAGE).as_posix(), [])
    assert _linux_only(path.read_text(encoding="utf-8")) == allowed


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(): return os.sched_getaffinity(0)", ["os.sched_getaffinity"]),
        ("def f(): return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else 1", []),
        ("os.open('x', os.O_TMPFILE | os.O_RDWR)", ["os.O_TMPFILE"]),
        ("open('/proc/self/status')", ["/proc/self/status"]),
        ("os.open('x', os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY)", []),
    ],
)
def test_the_search_for_such_calls_finds_them(source: str, found: List[str]) -> None:
    assert _linux_only(source) == found
