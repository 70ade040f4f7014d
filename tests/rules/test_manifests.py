"""Which images manifests name, what is said where they name none, and what `package` writes."""

from __future__ import annotations

from typing import Any

import pytest
from pants.core.goals.package import BuiltPackage
from pants.engine.addresses import Address, Addresses
from pants.engine.fs import DigestContents
from pants.engine.target import DependenciesRequest, InvalidFieldException
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.manifest_fields import (
    KubernetesManifestsDependenciesField,
    KubernetesManifestsSelectorField,
)
from ko_pants.products import BuiltImage, ImagePackages, ImagePackagesRequest
from ko_pants.rules.settings import GoEnvironment
from ko_pants.target_types import GoOciImageFieldSet, KubernetesManifestsFieldSet

REPO = "127.0.0.1:1/team"
MAIN = "package main\nfunc main() {}\n"
FILES: dict[str, str | bytes] = {
    "go.mod": "module example.com/shop\ngo 1.21\n",
    "cmd/web/main.go": MAIN,
    "cmd/web/BUILD": "go_oci_image()\n",
    "cmd/twice/main.go": MAIN,
    "cmd/twice/BUILD": "go_oci_image(name='a')\ngo_oci_image(name='b')\n",
    "cmd/lonely/main.go": MAIN,
    "cmd/exe/main.go": MAIN,
    "cmd/exe/BUILD": (
        "go_executable(name='exe', flags=['-tags=x'])\ngo_oci_image(name='image', binary=':exe')\n"
    ),
    "cmd/Case/main.go": MAIN,
    "cmd/Case/BUILD": "go_oci_image()\n",
    "lib/lib.go": "package lib\n",
    "other/go.mod": "module example.com/other\ngo 1.21\n",
    "other/main.go": MAIN,
    "other/BUILD": "go_oci_image(name='other')\n",
    "broken/BUILD": "go_oci_image(name='broken', binary=':missing')\n",
    "prebuilt/server.bin": elf(62),
    "prebuilt/BUILD": (
        "file(name='server', source='server.bin')\n"
        + "".join(
            f"go_oci_image(name={name!r}, binary=':server', base_image='scratch', "
            f"platforms=['linux/amd64'], {fields})\n"
            for name, fields in {
                "a": "",
                "b": "image_labels={'of': 'b'}",
                "kept": "skip_push=True",
                "two": "registries=['one.example.com', '@second']",
            }.items()
        )
    ),
}


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    runner = new_runner(
        [
            (Addresses, [DependenciesRequest]),
            (BuiltImage, [GoOciImageFieldSet]),
            (BuiltPackage, [KubernetesManifestsFieldSet]),
            (ImagePackages, [ImagePackagesRequest]),
            (GoEnvironment, []),
        ]
    )
    runner.write_files(FILES)
    return runner


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine, KO_DOCKER_REPO=REPO)
    return engine


def field_set(
    runner: RuleRunner, files: dict[str, Any], fields: str = ""
) -> KubernetesManifestsFieldSet:
    """The target `k8s:k8s` with these files alone."""
    names = ", ".join(map(repr, files))
    runner.write_files(
        {
            "k8s/BUILD": (
                f"kubernetes_manifests(sources=[{names}], {fields})\n"
                "go_oci_image(name='image', binary='prebuilt:server', base_image='scratch', "
                "platforms=['linux/amd64'])\n"
            ),
            **{f"k8s/{name}": content for name, content in files.items()},
        }
    )
    return KubernetesManifestsFieldSet.create(runner.get_target(Address("k8s")))


def dependencies(runner: RuleRunner, text: str, fields: str = "") -> set[str]:
    field_set(runner, {"app.yaml": text}, fields)
    target = runner.get_target(Address("k8s"))
    request = DependenciesRequest(target[KubernetesManifestsDependenciesField])
    return {address.spec for address in runner.request(Addresses, [request])}


def packaged(runner: RuleRunner, files: dict[str, Any], fields: str = "") -> dict[str, str]:
    built = runner.request(BuiltPackage, [field_set(runner, files, fields)])
    contents = runner.request(DigestContents, [built.digest])
    return {file.path: file.content.decode() for file in contents}


def mistake(runner: RuleRunner, files: dict[str, Any], fields: str = "") -> str:
    return error_of(runner, BuiltPackage, [field_set(runner, files, fields)])


def digest_of(runner: RuleRunner, name: str, directory: str = "prebuilt") -> str:
    target = runner.get_target(Address(directory, target_name=name))
    built = runner.request(BuiltImage, [GoOciImageFieldSet.create(target)])
    return built.image.descriptor.digest


def test_import_paths_of_images_are_known_without_a_build(runner: RuleRunner) -> None:
    variables = runner.request(GoEnvironment, []).variables
    found = runner.request(ImagePackages, [ImagePackagesRequest(variables)])
    assert {
        path: [a.spec for a in found.by_import_path[path]] for path in found.by_import_path
    } == {
        "example.com/shop/cmd/Case": ["cmd/Case:Case"],
        "example.com/shop/cmd/exe": ["cmd/exe:image"],
        "example.com/shop/cmd/twice": ["cmd/twice:a", "cmd/twice:b"],
        "example.com/shop/cmd/web": ["cmd/web:web"],
        "example.com/other": ["other:other"],
    }
    (broken,) = (p for p in found.packages if p.problem)
    assert broken.address.spec == "broken:broken"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: ko://example.com/shop/cmd/web\n", {"cmd/web:web"}),
        ("image: pants://cmd/web\n", {"cmd/web:web"}),
        ("image: pants:////cmd/web:web\n", {"cmd/web:web"}),
        ("image: pants://:image\n", {"k8s:image"}),
        ("- ko://example.com/other\n- pants://prebuilt:a\n", {"other:other", "prebuilt:a"}),
        ("ko://example.com/shop/cmd/exe: 1\n", {"cmd/exe:image"}),
        ("image: ko://example.com/shop/cmd/twice\n", {"cmd/twice:a", "cmd/twice:b"}),
        ("- ko://example.com/none\n- pants://none:none\n- pants://prebuilt:server\n", set()),
        ("- pants://cmd/web\n- 'pants://no-address!:'\n", {"cmd/web:web"}),
        ("image: [\n", set()),
        ("{{ if }}\nimage: ko://example.com/shop/cmd/web\n", set()),
        ("a: b\n", set()),
    ],
)
def test_references_are_dependencies_and_mistakes_are_left_to_package(
    runner: RuleRunner, text: str, expected: set[str]
) -> None:
    assert dependencies(runner, text) == expected


def test_only_what_the_selector_matches_is_a_dependency(runner: RuleRunner) -> None:
    text = "".join(
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{labels: {{app: {name}}}}}\n"
        f"spec: pants://prebuilt:{name}\n"
        for name in "ab"
    )
    assert dependencies(runner, text, "selector='app=b'") == {"prebuilt:b"}


def test_a_malformed_selector_is_refused_with_the_target() -> None:
    with pytest.raises(InvalidFieldException, match=r"k8s:k8s, field `selector`: label selector"):
        KubernetesManifestsSelectorField("app in", Address("k8s"))


def test_package_writes_one_stream_of_all_sources(runner: RuleRunner) -> None:
    a, b = (f"{REPO}/{n}@{digest_of(runner, n)}" for n in "ab")
    own = f"{REPO}/image@{digest_of(runner, 'image', 'k8s')}"
    files = {
        "c.json": '{"image": "pants://prebuilt:a"}\n',
        "a.yaml": "# first\r\nimage:   'pants://prebuilt:a' # why\r\nother: pants://:image\r\n",
        "b.yml": "---\n? pants://prebuilt:b\n: [ &x pants://prebuilt:a, *x ]\n...\n",
        "empty.yaml": "# nothing\n",
    }
    assert packaged(runner, files) == {
        "k8s/k8s.yaml": (
            f"# first\r\nimage:   '{a}' # why\r\nother: {own}\r\n"
            f"---\n? {b}\n: [ &x {a}, *x ]\n...\n"
            f'---\n{{"image": "{a}"}}\n'
        )
    }


def test_package_writes_where_the_target_says(runner: RuleRunner) -> None:
    fields = "output_path='deploy/all.yaml'"
    assert packaged(runner, {"a.yaml": "a: b"}, fields) == {"deploy/all.yaml": "a: b"}


def test_only_what_the_selector_matches_is_written_and_built(runner: RuleRunner) -> None:
    head = "apiVersion: v1\nkind: Pod\nmetadata: {labels: {app: "
    text = f"{head}x}}}}\nspec: ko://example.com/none\n---\n{head}y}}}}\nspec: pants://prebuilt:a\n"
    a = f"{REPO}/a@{digest_of(runner, 'a')}"
    assert packaged(runner, {"a.yaml": text}, "selector='app=y'") == {
        "k8s/k8s.yaml": f"---\n{head}y}}}}\nspec: {a}\n"
    }
    error = mistake(runner, {"a.yaml": text}, "selector='app'")
    assert error.startswith("k8s:k8s: k8s/a.yaml:4:7: ko://example.com/none: ")


def test_a_template_stays_as_it_is_with_a_warning(runner: RuleRunner, caplog: Any) -> None:
    text = "{{- if .Values.web }}\nimage: ko://example.com/none\n{{- end }}\n"
    files = {"a.yaml": "image: pants://prebuilt:a\n", "b.yaml": text}
    a = f"{REPO}/a@{digest_of(runner, 'a')}"
    assert packaged(runner, files) == {"k8s/k8s.yaml": f"image: {a}\n---\n{text}"}
    (warning,) = (message for message in caplog.messages if "template" in message)
    assert warning.startswith("k8s:k8s: k8s/b.yaml is no YAML and has {{ }} in it")


def test_with_tag_only_references_have_the_tag(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "tagged/BUILD": "go_oci_image(name='t', binary='prebuilt:server', "
            "base_image='scratch', platforms=['linux/amd64'], image_tags=['1.0'])\n"
        }
    )
    configure(runner, "--ko-tag-only", KO_DOCKER_REPO=REPO)
    written = packaged(runner, {"a.yaml": "image: pants://tagged:t\n"})
    assert written == {"k8s/k8s.yaml": f"image: {REPO}/t:1.0\n"}


REGISTRIES = "--ko-registries={'second': {'address': 'two.example.com'}}"


@pytest.mark.parametrize(
    ("fields", "registry"),
    [
        ("", "one.example.com"),
        ("registry='@second'", "two.example.com"),
        ("registry='two.example.com'", "two.example.com"),
    ],
)
def test_one_of_several_registries_is_named(runner: RuleRunner, fields: str, registry: str) -> None:
    configure(runner, REGISTRIES)
    written = packaged(runner, {"a.yaml": "image: pants://prebuilt:two\n"}, fields)
    digest = digest_of(runner, "two")
    assert written == {"k8s/k8s.yaml": f"image: {registry}/two@{digest}\n"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [\n", "k8s/a.yaml:2:1: "),
        ("a: b\n\tc: d\n", "k8s/a.yaml:2:1: found a tab character that violates indentation"),
        (
            "image: ko://example.com/shop/cmd/wep\n",
            "k8s/a.yaml:1:8: ko://example.com/shop/cmd/wep: no package of this repository has "
            "this import path; the closest are ko://example.com/shop/cmd/web",
        ),
        (
            "a:\n- image: ko://example.com/shop/cmd/case\n",
            "k8s/a.yaml:2:10: ko://example.com/shop/cmd/case: no package of this repository has "
            "this import path; the closest are ko://example.com/shop/cmd/Case",
        ),
        (
            "image: ko://example.com/shop/cmd/lonely\n",
            "k8s/a.yaml:1:8: ko://example.com/shop/cmd/lonely: cmd/lonely is a main package, and "
            "no `go_oci_image` has it as its program; expected one, for example `go_oci_image()` "
            "in cmd/lonely/BUILD",
        ),
        (
            "image: ko://example.com/shop/lib\n",
            "k8s/a.yaml:1:8: ko://example.com/shop/lib: lib is a library (package lib); expected "
            "the import path of a main package",
        ),
        (
            "image: ko://example.com/shop/cmd/twice\n",
            "k8s/a.yaml:1:8: ko://example.com/shop/cmd/twice: 2 images have this program; "
            "expected an address that names one of them: pants://cmd/twice:a or pants://cmd/twice:b",
        ),
        (
            "image: pants://prebuilt:server\n",
            "k8s/a.yaml:1:8: pants://prebuilt:server: prebuilt:server is a `file`; expected the "
            "address of a `go_oci_image`",
        ),
        (
            "image: pants://prebuilt:none\n",
            "k8s/a.yaml:1:8: pants://prebuilt:none: expected the address of a `go_oci_image`",
        ),
        ("image: pants://none\n", "k8s/a.yaml:1:8: pants://none: expected the address of"),
        ("image: 'pants://::'\n", "k8s/a.yaml:1:8: pants://::: "),
        ("image: ko://\n", "k8s/a.yaml:1:8: ko://: no package"),
        ("image: ko://a b\n", "k8s/a.yaml:1:8: 'ko://a b' is no reference to an image"),
        (
            "- pants://none\n- ko://example.com/none\n- pants://none\n",
            "3 references name no image:\nk8s/a.yaml:1:3: pants://none: ",
        ),
        (
            "image: pants://prebuilt:kept\n",
            "prebuilt:kept is not pushed, by `skip_push` on prebuilt:kept, so a cluster cannot",
        ),
    ],
)
def test_mistakes_are_named_with_target_file_line_and_column(
    runner: RuleRunner, text: str, message: str
) -> None:
    assert mistake(runner, {"a.yaml": text}).startswith(f"k8s:k8s: {message}")


def test_an_image_that_could_not_be_read_is_named_where_an_import_path_is_unknown(
    runner: RuleRunner,
) -> None:
    error = mistake(runner, {"a.yaml": "image: ko://example.com/none\n"})
    assert "Images whose program is not known (1): " in error
    assert "broken:missing" in error


def test_a_layout_cannot_be_deployed(runner: RuleRunner) -> None:
    configure(runner)
    error = mistake(runner, {"a.yaml": "image: pants://prebuilt:a\n"})
    assert error.startswith(
        "k8s:k8s: prebuilt:a goes to no registry but into the OCI layout dist/oci, which a cluster "
        "cannot pull from; expected a registry: set KO_DOCKER_REPO"
    )


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ("@none", "k8s:k8s, field `registry`: there is no registry @none; [ko].registries has "),
        ("elsewhere.example.com", "k8s:k8s: prebuilt:two does not go to the registry elsewhere"),
    ],
)
def test_a_registry_that_no_image_goes_to(runner: RuleRunner, registry: str, message: str) -> None:
    configure(runner, REGISTRIES)
    files = {"a.yaml": "image: pants://prebuilt:two\n"}
    assert mistake(runner, files, f"registry={registry!r}").startswith(message)
