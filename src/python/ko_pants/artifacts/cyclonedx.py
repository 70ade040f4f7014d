"""An inventory as an SBOM in CycloneDX 1.6 JSON.

Source: the CycloneDX specification 1.6 (ECMA-424).
"""

from __future__ import annotations

import uuid
from typing import Any, Dict, Iterable, List, Tuple

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
MEDIA_TYPE = "application/vnd.cyclonedx+json"

# Names of properties begin with it.
_PROPERTY = "ko_pants:"


def document(inventory: Inventory) -> bytes:
    """The SBOM. Equal inventories give equal bytes."""
    body = _Body()
    if isinstance(inventory, IndexInventory):
        image = _add_index(body, inventory)
    else:
        image = _add_image(body, inventory)
    version = inventory.tools.ko_pants
    # The number of this SBOM: of this target, image, format and version of ko_pants.
    name = "\0".join(("cyclonedx-1.6", version, inventory.address, inventory.subject.digest))
    name = name.encode("utf-8", "replace").decode()
    return canonical_json(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, name).urn,
            "version": 1,
            "metadata": {
                "timestamp": rfc3339(inventory.created),
                "tools": {
                    "components": [{"type": "application", "name": "ko_pants", "version": version}]
                },
                "component": image,
            },
            "components": body.components,
            "dependencies": [
                {"ref": ref, "dependsOn": depends_on}
                for ref, depends_on in body.dependencies.items()
            ],
            "compositions": [{"aggregate": "unknown", "assemblies": body.unknown}]
            if body.unknown
            else [],
        }
    )


class _Body:
    """The components of a document, in the order in which they are added.

    :ivar dependencies: what each component needs, by `bom-ref`.
    :ivar unknown: the components of which it is not known what they hold.
    """

    def __init__(self) -> None:
        self.components: List[Dict[str, Any]] = []
        self.dependencies: Dict[str, List[str]] = {}
        self.unknown: List[str] = []

    def add(self, component: Dict[str, Any]) -> None:
        self.components.append(component)

    def depend(self, ref: str, other: str) -> None:
        self.dependencies.setdefault(ref, []).append(other)


def _component(kind: str, ref: str, name: str, **fields: Any) -> Dict[str, Any]:
    """A component; `fields` that are empty are left out."""
    filled = {key: value for key, value in fields.items() if value}
    return {"type": kind, "bom-ref": ref, "name": name, **filled}


def _add_index(body: _Body, index: IndexInventory) -> Dict[str, Any]:
    subject = index.subject
    image = _image(subject, index.address, package_urls.image_url(subject.digest, name="index"))
    ref = image["bom-ref"]
    if index.base is not None:
        _add_base(body, ref, index.base)
    # One manifest can serve several platforms.
    for digest in dict.fromkeys(platform.digest for platform in index.platforms):
        entries = [entry for entry in index.platforms if entry.digest == digest]
        component = _image(
            entries[0],
            index.address,
            package_urls.image_url(digest, platform=entries[0].platform),
            _properties(("platform", str(entry.platform)) for entry in entries),
        )
        body.add(component)
        body.depend(ref, component["bom-ref"])
    return image


def _add_image(body: _Body, image: ImageInventory) -> Dict[str, Any]:
    subject = image.subject
    ref = _image_ref(subject)
    if image.base is not None:
        _add_base(body, ref, image.base)
    modules = modules_of(image.programs)
    for number, program in enumerate(image.programs):
        _add_program(body, ref, number, program, modules.programs[number])
    for module, replaced in modules.replaced.items():
        body.add(_module(module, replaced))
    for version in go_versions(image.programs):
        body.add(_standard_library(version))
    properties = []
    for number, layer in enumerate(image.layers):
        _add_files(body, ref, number, layer)
        properties += [
            (f"layer:{number}:{key}", value)
            for key, value in (
                ("kind", layer.kind),
                ("digest", layer.descriptor.digest),
                ("diff_id", layer.diff_id),
                ("created_by", layer.created_by),
            )
            if value
        ]
    if subject.platform is not None:
        properties.insert(0, ("platform", str(subject.platform)))
    url = package_urls.image_url(subject.digest, platform=subject.platform)
    return _image(subject, image.address, url, _properties(properties))


def _image(
    subject: Descriptor, address: str, url: str, properties: Iterable[Dict[str, str]] = ()
) -> Dict[str, Any]:
    return _component(
        "container",
        _image_ref(subject),
        address,
        version=subject.digest,
        hashes=_hashes(subject.digest),
        purl=url,
        properties=list(properties),
    )


def _add_base(body: _Body, image_ref: str, base: InventoryBase) -> None:
    digest = base.manifest_digest or base.digest
    ref = stable_id("BaseImage", base.name, digest)
    body.add(
        _component(
            "container",
            ref,
            base.name,
            version=digest,
            hashes=_hashes(digest),
            purl=package_urls.base_image_url(base.name, digest),
            properties=_properties((("base:digest", base.digest),)),
        )
    )
    body.depend(image_ref, ref)
    body.unknown.append(ref)


def _add_files(body: _Body, image_ref: str, number: int, layer: InventoryLayer) -> None:
    for file in dict.fromkeys(layer.files):
        ref = stable_id("File", file.path, file.digest, str(file.size), str(number))
        body.add(
            _component(
                "file",
                ref,
                file.path,
                hashes=_hashes(file.digest),
                properties=_properties((("size", str(file.size)), ("layer", str(number)))),
            )
        )
        body.depend(image_ref, ref)


def _add_program(
    body: _Body, image_ref: str, number: int, program: Program, modules: ProgramModules | None
) -> None:
    info = program.build_info
    file = program.file
    ref = stable_id("Program", file.path, file.digest, str(number))
    properties = [("size", str(file.size))]
    if program.import_path:
        properties.append(("go:main_package", program.import_path))
    if info is not None:
        properties += [("go:version", info.go_version)] if info.go_version else []
        properties += [(f"go:build:{key}", value) for key, value in info.settings]
    body.add(
        _component(
            "application",
            ref,
            file.path,
            description=NO_BUILD_INFO if info is None else "",
            hashes=_hashes(file.digest),
            properties=_properties(properties),
        )
    )
    body.depend(image_ref, ref)
    if info is None or modules is None:
        body.unknown.append(ref)
        return
    if modules.main is not None:
        body.depend(ref, modules.main.id)
    if info.go_version:
        body.depend(ref, _standard_library_ref(info.go_version))
    for module in modules.others:
        body.depend(ref, module.id)


def _module(module: BuiltModule, replaced: Tuple[str, ...]) -> Dict[str, Any]:
    return _component(
        "library",
        module.id,
        module.path,
        version=module.version,
        description=" ".join(module_remarks(module, replaced)),
        # Of the list of its files, as in go.sum, not of an archive.
        hashes=_hashes("sha256:" + module.sum_hex) if module.sum_hex else [],
        purl=module.url,
        properties=_properties((("go:sum", module.sum),) if module.sum else ()),
    )


def _standard_library(go_version: str) -> Dict[str, Any]:
    return _component(
        "library",
        _standard_library_ref(go_version),
        "stdlib",
        version=package_urls.standard_library_version(go_version),
        description=f"The Go standard library, of the toolchain {go_version}.",
        purl=package_urls.standard_library_url(go_version),
        cpe=package_urls.standard_library_cpe(go_version),
    )


def _standard_library_ref(go_version: str) -> str:
    return stable_id("StandardLibrary", go_version)


def _image_ref(descriptor: Descriptor) -> str:
    return "Image-" + descriptor.digest.replace(":", "-")


def _hashes(digest: str) -> List[Dict[str, str]]:
    """:param digest: `sha256:<hex>`, the only algorithm used here."""
    return [{"alg": "SHA-256", "content": digest.partition(":")[2]}]


def _properties(pairs: Iterable[Tuple[str, str]]) -> List[Dict[str, str]]:
    return [{"name": _PROPERTY + name, "value": value} for name, value in pairs]
