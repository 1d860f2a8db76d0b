"""Kubernetes quantities: `2Gi`, `500M`, `1024`."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from hypernova_api.meta import Rule


class Quantity(str):
    """An amount, kept as it was written; `value` is what it means.

    Raises ValueError for what Kubernetes would not take either, and for amounts finer than its own (nano).
    """

    __slots__ = ()

    MAX_LENGTH: ClassVar[int] = 32
    PATTERN: ClassVar[str] = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
    _SCALE: ClassVar[dict[str, Decimal]] = {
        **{
            s: Decimal(10) ** e
            for s, e in zip(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), range(-9, 19, 3), strict=True)
        },
        **{f"{s}i": Decimal(1024) ** e for e, s in enumerate("KMGTPE", start=1)},
    }

    def __new__(cls, text: str | int) -> Self:
        text = str(text)
        if not re.fullmatch(cls.PATTERN, text):
            raise ValueError(f"{text!r} is not a quantity; write it like 2Gi, 500M or 1024")
        return super().__new__(cls, text)

    @property
    def value(self) -> int:
        """The amount in its base unit (bytes for memory and disk), rounded up."""
        match = re.fullmatch(r"([+-]?[0-9.]+)(.*)", self)
        assert match is not None  # PATTERN holds since __new__  # noqa: S101
        number, suffix = Decimal(match[1]), match[2]
        scale = self._SCALE[suffix] if suffix in self._SCALE else Decimal(10) ** int(suffix[1:])
        return int((number * scale).to_integral_value(ROUND_CEILING))

    @classmethod
    def of_bytes(cls, amount: int) -> Self:
        """The shortest exact way to write an amount of bytes: 2147483648 is 2Gi."""
        for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
            unit = int(cls._SCALE[suffix])
            if amount and amount % unit == 0:
                return cls(f"{amount // unit}{suffix}")
        return cls(amount)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Integers and strings validate; the wire form is what was written."""
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _core_schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As Kubernetes writes the schema of its own quantities, bounded so that CEL rules may parse them."""
        return {"x-kubernetes-int-or-string": True, "pattern": cls.PATTERN, "maxLength": cls.MAX_LENGTH}

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError("a quantity is a string like 2Gi or a whole number")
        return cls(value)


def at_least(field: str, least: str, example: str) -> Rule:
    """The rule that a quantity is not less than another.

    Args:
        field: its name on the wire; always present, e.g. by a default.
        least: the smallest that is allowed, e.g. `1Mi`.
        example: one that makes sense, for the message.
    """
    return Rule(
        f"quantity(string(self.{field})).compareTo(quantity('{least}')) >= 0",
        f"{field} must be at least {least}, e.g. {example}",
        field=f".{field}",
    )
