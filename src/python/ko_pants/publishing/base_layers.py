"""The bytes of a layer of the base image, from where the base is."""

from __future__ import annotations

from typing import BinaryIO

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import BaseImage
from ko_pants.oci.layout import Layout
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistryError


def open_base_layer(client: RegistryClient, base: BaseImage, layer: Descriptor) -> BinaryIO:
    """Open a layer of a base image.

    :raises KoPantsError: the base is there no longer, or not whole; the text says what to do.
    :raises RegistryError: likewise, of a base on a registry; or the registry refuses.
    """
    if base.source.startswith("oci:"):
        layout = Layout(base.source[len("oci:") :])
        if not layout.has_blob(layer):
            raise KoPantsError(
                f"base image {base.name}: the layer {layer.digest} is missing in the OCI layout "
                f"{layout.path}; write the layout anew"
            )
        return open(layout.blob_path(layer.digest), "rb")
    try:
        return client.session().open_blob(Reference.parse(base.source, default_tag=""), layer)
    except RegistryError as e:
        if e.status != 404:
            raise
        way_out = base.if_lost or "Push the base image again, or choose another one"
        raise RegistryError(
            f"{e}. It is a layer of the base image {base.name} ({base.digest}), which is gone from "
            f"the registry. {way_out}",
            status=e.status,
            codes=e.codes,
        ) from None
