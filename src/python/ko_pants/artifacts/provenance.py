"""An inventory as provenance: an in-toto statement with the predicate SLSA provenance v1.

Source: in-toto attestation framework v1 (statement, resource descriptor, digest set) and
https://slsa.dev/provenance/v1. docs/sbom.md describes what is particular to `BUILD_TYPE`.
"""

from __future__ import annotations

from typing import Any, Dict, List

from ko_pants.artifacts import package_urls
from ko_pants.artifacts.built_modules import BuiltModule, go_versions, modules_of
from ko_pants.artifacts.inventory import ImageInventory, IndexInventory, Inventory, Program
from ko_pants.oci.documents import canonical_json

#: The media type of a statement, and the artifact type of its manifest.
MEDIA_TYPE = "application/vnd.in-toto+json"

#: How ko_pants builds images, and what the parameters mean.
BUILD_TYPE = "urn:ko-pants:go-oci-image:1"

#: The builder that says nothing of itself: ko_pants, on whatever machine.
DEFAULT_BUILDER_ID = "urn:ko-pants:builder:unnamed"

_PREDICATE_TYPE = "https://slsa.dev/provenance/v1"


def statement(inventory: Inventory, *, builder_id: str = "", invocation_id: str = "") -> bytes:
    """The statement, not signed. The same arguments give the same bytes.

    :param builder_id: a URI of the build platform; `DEFAULT_BUILDER_ID` if it is empty.
    :param invocation_id: what the build platform calls this run; empty for none.
    """
    parameters: Dict[str, Any] = {"target": inventory.address}
    internal: Dict[str, Any] = {}
    if isinstance(inventory, IndexInventory):
        parameters["platforms"] = [str(entry.platform) for entry in inventory.platforms]
        dependencies = _platforms(inventory)
    else:
        if inventory.subject.platform is not None:
            parameters["platform"] = str(inventory.subject.platform)
        parameters["programs"] = [_program(program) for program in inventory.programs]
        modules = modules_of(inventory.programs).replaced
        dependencies = [_module(module) for module in modules if _is_fixed(module)]
        own = [module.path for module in modules if not _is_fixed(module)]
        if own:
            internal["modulesOfTheRepository"] = own
    if inventory.base is not None:
        parameters["baseImage"] = inventory.base.name
    definition: Dict[str, Any] = {
        "buildType": BUILD_TYPE,
        "externalParameters": parameters,
        "resolvedDependencies": [*_base(inventory), *_toolchains(inventory), *dependencies],
    }
    if internal:
        definition["internalParameters"] = internal
    run: Dict[str, Any] = {
        "builder": {
            "id": builder_id or DEFAULT_BUILDER_ID,
            "version": {"ko_pants": inventory.tools.ko_pants},
        }
    }
    if invocation_id:
        run["metadata"] = {"invocationId": invocation_id}
    return canonical_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": inventory.address, "digest": _sha256(inventory.subject.digest)}],
            "predicateType": _PREDICATE_TYPE,
            "predicate": {"buildDefinition": definition, "runDetails": run},
        }
    )


def _program(program: Program) -> Dict[str, Any]:
    """What the user chose for a program, as far as the executable tells."""
    out: Dict[str, Any] = {"path": program.file.path}
    if program.import_path:
        out["mainPackage"] = program.import_path
    if program.build_info is None:
        out["buildInfo"] = False
    else:
        out["settings"] = dict(program.build_info.settings)
    return out


def _base(inventory: Inventory) -> List[Dict[str, Any]]:
    base = inventory.base
    if base is None:
        return []
    digests = dict.fromkeys(digest for digest in (base.manifest_digest, base.digest) if digest)
    return [
        {
            "name": base.name,
            "uri": package_urls.base_image_url(base.name, digest),
            "digest": _sha256(digest),
        }
        for digest in digests
    ]


def _toolchains(inventory: Inventory) -> List[Dict[str, Any]]:
    versions = {inventory.tools.go} - {""}
    if isinstance(inventory, ImageInventory):
        versions.update(go_versions(inventory.programs))
    return [
        {"name": version, "uri": package_urls.go_toolchain_url(version)}
        for version in sorted(versions)
    ]


def _platforms(index: IndexInventory) -> List[Dict[str, Any]]:
    return [
        {
            "name": str(entry.platform),
            "uri": package_urls.image_url(entry.digest, platform=entry.platform),
            "digest": _sha256(entry.digest),
        }
        for entry in index.platforms
    ]


def _is_fixed(module: BuiltModule) -> bool:
    """Whether sum or version say which source it is. Modules of the repository have neither."""
    return bool(module.sum_hex or (module.url and module.version not in ("", "(devel)")))


def _module(module: BuiltModule) -> Dict[str, Any]:
    out: Dict[str, Any] = {"name": f"{module.path} {module.version}".strip()}
    if module.url:
        out["uri"] = module.url
    if module.sum_hex:
        # Go's dirhash.Hash1, as in-toto writes it.
        out["digest"] = {"dirHash": module.sum_hex}
    return out


def _sha256(digest: str) -> Dict[str, str]:
    return {"sha256": digest.partition(":")[2]}
