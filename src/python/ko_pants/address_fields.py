"""Fields that hold addresses of targets."""

from __future__ import annotations

from typing import Iterable, Optional

from pants.engine.addresses import Address
from pants.engine.target import AsyncFieldMixin, StringField, StringSequenceField

from ko_pants.field_checks import check_addresses, checked


class AddressField(StringField, AsyncFieldMixin):
    """The address of a target. An empty text is a mistake, and does not mean the default."""

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None:
            checked(address, cls.alias, check_addresses, (value,))
        return value


class AddressesField(StringSequenceField, AsyncFieldMixin):
    """Addresses of targets, each once."""

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        values = super().compute_value(raw_value, address)
        checked(address, cls.alias, check_addresses, values or ())
        return values
