"""The fields of `kubernetes_manifests`."""

from __future__ import annotations

from typing import ClassVar, Optional, Tuple

from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    MultipleSourcesField,
    StringField,
)

from ko_pants.field_checks import checked
from ko_pants.kubernetes.selectors import parse_selector
from ko_pants.publishing.registries import check_named_registries


class KubernetesManifestsDependenciesField(Dependencies):
    pass


class KubernetesManifestsSourcesField(MultipleSourcesField):
    default: ClassVar[Tuple[str, ...]] = ("*.yaml", "*.yml")
    expected_file_extensions: ClassVar[Tuple[str, ...]] = (".yaml", ".yml", ".json")
    uses_source_roots = False
    help = (
        "Globs of the manifests, relative to the BUILD file: YAML (one or more documents a file) "
        "and JSON. `ko://<import path>` and `pants://<address>` in them stand for images of this "
        "repository, as a value, a key or an item of a list.\n\n"
        "Default: `['*.yaml', '*.yml']`. Example: `sources=['deploy/**/*.yaml']`."
    )


class KubernetesManifestsSelectorField(StringField):
    alias = "selector"
    help = (
        "A label selector, as `ko resolve -l` and `kubectl -l` take it. Only objects with such "
        "labels are taken, and of a `kind: List` only such items. Every document has to be a "
        "Kubernetes object then.\n\n"
        "Default: none. Example: `selector='app=web,tier notin (test)'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        checked(address, cls.alias, parse_selector, value or "")
        return value


class KubernetesManifestsRegistryField(StringField):
    alias = "registry"
    help = (
        "The registry that the references name, where images go to several: its address, or an "
        "alias of `[ko].registries`. It has to be one of those that each image goes to.\n\n"
        "Default: for each image, the first of its `registries` that it is pushed to. Example: "
        "`registry='@prod'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, check_named_registries, (value,))
        return value
