"""vendor/modules.txt, and when Go builds from a vendor directory."""

from __future__ import annotations

import pytest

from ko_pants.golang.vendor import (
    VendorDirectory,
    VendorModules,
    find_vendor,
    parse_vendor_modules,
)

TEXT = "# example.com/x v1.0.0\n## explicit; go 1.21\nexample.com/x\n# y v1 => ./y\n# short\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", VendorModules((), False)),
        (TEXT, VendorModules(("example.com/x", "y"), False)),
        ("## workspace\n" + TEXT, VendorModules(("example.com/x", "y"), True)),
        ("## x; workspace ; y\n# b v1\n# a v1\n# a v1 => c\n", VendorModules(("a", "b"), True)),
        ("## nothing\n## workspace\n", VendorModules((), False)),
        ("## my workspace\n", VendorModules((), False)),
        ("# workspace\n", VendorModules((), False)),
        ("#  workspace\n", VendorModules((), False)),
        ("\xff\n# a v1\n", VendorModules(("a",), False)),
    ],
)
def test_modules_txt(text: str, expected: VendorModules) -> None:
    assert parse_vendor_modules(text.encode("latin-1")) == expected


FOR_MODULE = b"# a v1\n"
FOR_WORKSPACE = b"## workspace\n# a v1\n"


@pytest.mark.parametrize(
    ("go", "mod", "content", "for_workspace", "used"),
    [
        ("1.14", "", FOR_MODULE, False, True),
        ("1.13", "", FOR_MODULE, False, False),
        ("", "", FOR_MODULE, False, False),
        ("1.21", "mod", FOR_MODULE, False, False),
        ("1.21", "readonly", FOR_MODULE, False, False),
        ("1.13", "vendor", FOR_MODULE, False, True),
        ("1.22", "", FOR_WORKSPACE, False, False),
        ("1.22", "", FOR_WORKSPACE, True, True),
        ("1.22", "", FOR_MODULE, True, False),
        ("1.22", "vendor", FOR_MODULE, True, True),
        ("1.22", "", None, False, False),
        ("1.22", "vendor", None, False, False),
    ],
)
def test_when_go_builds_from_it(
    go: str, mod: str, content: bytes | None, for_workspace: bool, used: bool
) -> None:
    files = {"other/vendor/modules.txt": FOR_MODULE}
    if content is not None:
        files["m/vendor/modules.txt"] = content
    found = find_vendor("m", files, go=go, for_workspace=for_workspace, mod=mod)
    assert found == (VendorDirectory("m/vendor", ("a",)) if used else None)


def test_in_the_repos_root() -> None:
    files = {"vendor/modules.txt": FOR_MODULE}
    found = find_vendor("", files, go="1.21", for_workspace=False, mod="")
    assert found == VendorDirectory("vendor", ("a",))
    assert found.modules_txt == "vendor/modules.txt"
