from __future__ import annotations

import pytest
from inventories import ARM, digest

from ko_pants.artifacts import package_urls
from ko_pants.golang.build_info import Module


@pytest.mark.parametrize(
    ("path", "version", "expected"),
    [
        ("golang.org/x/net", "v0.30.0", "pkg:golang/golang.org/x/net@v0.30.0"),
        # The case is kept, and `+` is written so that no reader takes it for a blank.
        (
            "github.com/BurntSushi/toml",
            "v1.0.0+incompatible",
            "pkg:golang/github.com/BurntSushi/toml@v1.0.0%2Bincompatible",
        ),
        ("example.com/app", "(devel)", "pkg:golang/example.com/app"),
        ("example.com/app", "", "pkg:golang/example.com/app"),
        ("example.com/a b?#@", "v1", "pkg:golang/example.com/a%20b%3F%23%40@v1"),
        ("./local", "(devel)", ""),
        ("../local", "", ""),
        ("/home/me/local", "", ""),
        ("C:\\local", "", ""),
        ("", "v1.0.0", ""),
    ],
)
def test_module_url(path: str, version: str, expected: str) -> None:
    assert package_urls.module_url(Module(path, version)) == expected


@pytest.mark.parametrize(
    ("go_version", "version", "cpe"),
    [
        ("go1.26.8", "1.26.8", "1.26.8:-"),
        ("go1.27rc1", "1.27rc1", "1.27:rc1"),
        ("go1.26.8 X:nodwarf5", "1.26.8", "1.26.8:-"),
        ("go1.26.8-custom", "1.26.8", "1.26.8:-"),
        ("devel go1.28-abc", "devel go1.28-abc", ""),
    ],
)
def test_standard_library(go_version: str, version: str, cpe: str) -> None:
    assert package_urls.standard_library_version(go_version) == version
    assert package_urls.standard_library_cpe(go_version) == (
        f"cpe:2.3:a:golang:go:{cpe}:*:*:*:*:*:*" if cpe else ""
    )


def test_standard_library_url_is_the_one_that_scanners_know() -> None:
    assert package_urls.standard_library_url("go1.26.8") == "pkg:golang/stdlib@1.26.8"


def test_image_url() -> None:
    quoted = digest("x").replace(":", "%3A")
    assert package_urls.image_url(digest("x"), platform=ARM) == (
        f"pkg:oci/image@{quoted}?arch=arm&os=linux&variant=v7"
    )
    assert package_urls.image_url(digest("x"), name="index") == f"pkg:oci/index@{quoted}"


@pytest.mark.parametrize(
    ("name", "url", "qualifiers"),
    [
        ("gcr.io/a/b:c", "b", "?repository_url=gcr.io/a/b&tag=c"),
        ("debian", "debian", "?repository_url=index.docker.io/library/debian"),
        ("oci:some/Layout", "image", ""),
    ],
)
def test_base_image_url(name: str, url: str, qualifiers: str) -> None:
    quoted = digest("x").replace(":", "%3A")
    assert package_urls.base_image_url(name, digest("x")) == f"pkg:oci/{url}@{quoted}{qualifiers}"
