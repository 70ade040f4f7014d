"""An inventory as an SBOM in SPDX 2.3 JSON.

Source: the SPDX specification 2.3. Everything is an SPDX package. An SPDX file would need a SHA1 of
its content, and so its bytes.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple
from urllib.parse import quote

from ko_pants.artifacts import package_urls
from ko_pants.artifacts.built_modules import (
    NO_BUILD_INFO,
    BuiltModule,
    ProgramModules,
    go_versions,
    module_remarks,
    modules_of,
    stable_id,
)
from ko_pants.artifacts.inventory import (
    ImageInventory,
    IndexInventory,
    Inventory,
    InventoryBase,
    InventoryLayer,
    Program,
)
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import canonical_json
from ko_pants.oci.image_config import rfc3339

#: The media type of a document, and the artifact type of its manifest.
MEDIA_TYPE = "application/spdx+json"

_NOASSERTION = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_COMMENT = (
    "A checksum of a Go module is its sum in go.sum (h1), in hexadecimal: the SHA-256 of the list "
    "of its files, not of an archive."
)


def document(inventory: Inventory) -> bytes:
    """The SBOM. Equal inventories give equal bytes."""
    subject = inventory.subject
    name = f"sbom-{subject.digest}"
    image_id = _image_id(subject)
    body = _Body()
    body.relate(_DOCUMENT, "DESCRIBES", image_id)
    if isinstance(inventory, IndexInventory):
        _add_index(body, image_id, inventory)
    else:
        _add_image(body, image_id, inventory)
    version = inventory.tools.ko_pants
    return canonical_json(
        {
            "SPDXID": _DOCUMENT,
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "name": name,
            # A name, not a place: of this target, image, format and version of ko_pants.
            "documentNamespace": "https://spdx.org/spdxdocs/"
            + "/".join(
                quote(part, safe="", errors="replace")
                for part in (f"ko_pants-{version}", "spdx-2.3", inventory.address, subject.digest)
            ),
            "creationInfo": {
                "created": rfc3339(inventory.created),
                "creators": [f"Tool: ko_pants-{version}"],
            },
            "comment": _COMMENT,
            "packages": body.packages,
            "relationships": body.relationships,
        }
    )


class _Body:
    """The packages and relationships of a document, in the order in which they are added."""

    def __init__(self) -> None:
        self.packages: List[Dict[str, Any]] = []
        self.relationships: List[Dict[str, str]] = []

    def add(self, package_id: str, name: str, **fields: Any) -> None:
        """Add a package; `fields` that are empty are left out."""
        self.packages.append(
            {
                "SPDXID": package_id,
                "name": name or _NOASSERTION,
                "downloadLocation": _NOASSERTION,
                "filesAnalyzed": False,
                "licenseConcluded": _NOASSERTION,
                "licenseDeclared": _NOASSERTION,
                "copyrightText": _NOASSERTION,
                **{key: value for key, value in fields.items() if value},
            }
        )

    def add_container(
        self, package_id: str, name: str, digest: str, urls: Iterable[str], comment: str = ""
    ) -> None:
        """Add an image or an index.

        :param urls: its package URLs.
        """
        self.add(
            package_id,
            name,
            versionInfo=digest,
            primaryPackagePurpose="CONTAINER",
            checksums=_checksums(digest),
            externalRefs=[_purl(url) for url in urls],
            comment=comment,
        )

    def relate(self, element: str, kind: str, related: str) -> None:
        self.relationships.append(
            {
                "spdxElementId": element,
                "relationshipType": kind,
                "relatedSpdxElement": related,
            }
        )


def _add_index(body: _Body, image_id: str, index: IndexInventory) -> None:
    subject = index.subject
    url = package_urls.image_url(subject.digest, name="index")
    body.add_container(image_id, index.address, subject.digest, [url])
    if index.base is not None:
        _add_base(body, image_id, index.base)
    # One manifest can serve several platforms.
    for digest in dict.fromkeys(platform.digest for platform in index.platforms):
        entries = [platform for platform in index.platforms if platform.digest == digest]
        platform_id = _image_id(entries[0])
        body.add_container(
            platform_id,
            index.address,
            digest,
            [package_urls.image_url(digest, platform=entry.platform) for entry in entries],
            "Platform: " + ", ".join(str(entry.platform) for entry in entries),
        )
        body.relate(image_id, "VARIANT_OF", platform_id)


def _add_image(body: _Body, image_id: str, image: ImageInventory) -> None:
    subject = image.subject
    body.add_container(
        image_id,
        image.address,
        subject.digest,
        [package_urls.image_url(subject.digest, platform=subject.platform)],
        f"Platform: {subject.platform}" if subject.platform is not None else "",
    )
    if image.base is not None:
        _add_base(body, image_id, image.base)
    for number, layer in enumerate(image.layers):
        _add_layer(body, image_id, number, layer)
    modules = modules_of(image.programs)
    for number, program in enumerate(image.programs):
        _add_program(body, image_id, number, program, modules.programs[number])
    for module, replaced in modules.replaced.items():
        _add_module(body, module, replaced)
    for version in go_versions(image.programs):
        _add_standard_library(body, version)


def _add_base(body: _Body, image_id: str, base: InventoryBase) -> None:
    digest = base.manifest_digest or base.digest
    base_id = "SPDXRef-" + stable_id("BaseImage", base.name, digest)
    body.add_container(
        base_id,
        base.name,
        digest,
        [package_urls.base_image_url(base.name, digest)],
        f"The name stands for {base.digest}. What the base image holds is not listed.",
    )
    body.relate(image_id, "DESCENDANT_OF", base_id)


def _add_layer(body: _Body, image_id: str, number: int, layer: InventoryLayer) -> None:
    layer_id = f"SPDXRef-Layer-{number}"
    comment = f"Layer {number}, kind: {layer.kind}. diffID: {layer.diff_id}."
    if layer.created_by:
        comment += f" Created by: {layer.created_by}"
    body.add(
        layer_id,
        layer.descriptor.digest,
        primaryPackagePurpose="ARCHIVE",
        checksums=_checksums(layer.descriptor.digest),
        comment=comment,
    )
    body.relate(image_id, "CONTAINS", layer_id)
    for file in dict.fromkeys(layer.files):
        file_id = "SPDXRef-" + stable_id("File", file.path, file.digest, str(file.size), layer_id)
        body.add(
            file_id,
            file.path,
            primaryPackagePurpose="FILE",
            checksums=_checksums(file.digest),
            comment=f"Size: {file.size} bytes.",
        )
        body.relate(layer_id, "CONTAINS", file_id)


def _add_program(
    body: _Body, image_id: str, number: int, program: Program, modules: ProgramModules | None
) -> None:
    info = program.build_info
    file = program.file
    program_id = "SPDXRef-" + stable_id("Program", file.path, file.digest, str(number))
    comment = f"Size: {file.size} bytes."
    if program.import_path:
        comment += f" Main package: {program.import_path}."
    if info is None:
        comment += f" {NO_BUILD_INFO}"
    elif info.settings:
        comment += " Build settings: " + " ".join(f"{key}={value}" for key, value in info.settings)
    body.add(
        program_id,
        file.path,
        primaryPackagePurpose="APPLICATION",
        checksums=_checksums(file.digest),
        comment=comment,
    )
    body.relate(image_id, "CONTAINS", program_id)
    if info is None or modules is None:
        return
    if modules.main is not None:
        body.relate(program_id, "CONTAINS", _module_id(modules.main))
    if info.go_version:
        body.relate(program_id, "DEPENDS_ON", _standard_library_id(info.go_version))
    for module in modules.others:
        body.relate(program_id, "DEPENDS_ON", _module_id(module))


def _add_module(body: _Body, module: BuiltModule, replaced: Tuple[str, ...]) -> None:
    body.add(
        _module_id(module),
        module.path,
        versionInfo=module.version,
        primaryPackagePurpose="LIBRARY",
        checksums=_checksums("sha256:" + module.sum_hex) if module.sum_hex else [],
        externalRefs=[_purl(module.url)] if module.url else [],
        comment=" ".join(module_remarks(module, replaced)),
    )


def _add_standard_library(body: _Body, go_version: str) -> None:
    cpe = package_urls.standard_library_cpe(go_version)
    body.add(
        _standard_library_id(go_version),
        "stdlib",
        versionInfo=package_urls.standard_library_version(go_version),
        primaryPackagePurpose="LIBRARY",
        externalRefs=[_purl(package_urls.standard_library_url(go_version))]
        + ([_reference("SECURITY", "cpe23Type", cpe)] if cpe else []),
        comment=f"The Go standard library, of the toolchain {go_version}.",
    )


def _image_id(descriptor: Descriptor) -> str:
    return "SPDXRef-Image-" + descriptor.digest.replace(":", "-")


def _module_id(module: BuiltModule) -> str:
    return "SPDXRef-" + module.id


def _standard_library_id(go_version: str) -> str:
    return "SPDXRef-" + stable_id("StandardLibrary", go_version)


def _checksums(digest: str) -> List[Dict[str, str]]:
    """:param digest: `sha256:<hex>`, the only algorithm used here."""
    return [{"algorithm": "SHA256", "checksumValue": digest.partition(":")[2]}]


def _purl(url: str) -> Dict[str, str]:
    return _reference("PACKAGE-MANAGER", "purl", url)


def _reference(category: str, kind: str, locator: str) -> Dict[str, str]:
    return {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
