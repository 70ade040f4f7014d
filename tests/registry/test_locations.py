"""Where a reply leads: the URL, or a clear refusal without a secret in it."""

from __future__ import annotations

import pytest
from registry_support import reply_of

from ko_pants.oci.reference import Reference
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.locations import Locations
from ko_pants.registry.redaction import Redactor

APP = Reference("r.lan", "app")
HERE = "http://r.lan/v2/app/blobs/uploads/"


def locations(*insecure: str) -> Locations:
    return Locations(frozenset(insecure), Redactor())


def test_a_location_is_resolved_against_the_reply() -> None:
    reply = reply_of(202, HERE, Location="../1?_state=a%2Fb")
    assert locations().of(reply, APP) == "http://r.lan/v2/app/blobs/1?_state=a%2Fb"
    assert locations().of(reply_of(202, HERE), APP) is None
    assert locations().of(reply_of(202, HERE, Location=""), APP) is None


def test_what_a_reply_names_otherwise_is_checked_too() -> None:
    assert locations().resolve("/v2/next", reply_of(200, HERE), APP) == "http://r.lan/v2/next"
    with pytest.raises(RegistryError, match="unsafe Location"):
        locations().resolve("http://169.254.169.254/", reply_of(200, HERE), APP)


def test_an_unsafe_location_is_named_without_its_query() -> None:
    reply = reply_of(307, HERE, Location="http://else.lan/x?signature=canary")
    with pytest.raises(RegistryError) as caught:
        locations().of(reply, APP)
    assert str(caught.value).startswith("r.lan sends an unsafe Location 'http://else.lan/x?***")
    assert "nothing was sent there" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.status == 307
    assert locations("else.lan").of(reply, APP) == "http://else.lan/x?signature=canary"
