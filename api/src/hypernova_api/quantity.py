"""Kubernetes quantities: `2Gi`, `500M`, `1024`."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from hypernova_api.meta import Rule

_DECIMAL = {suffix: Fraction(1000) ** e for e, suffix in enumerate(("n", "u", "m", "", *"kMGTPE"), start=-3)}
_BINARY = {f"{suffix}i": Fraction(1024) ** e for e, suffix in enumerate("KMGTPE", start=1)}
_SCALE = _DECIMAL | _BINARY
_LIMIT = 2**63 - 1


class Quantity(str):
    """An amount, kept as it was written; `value` is what it means.

    Raises ValueError for what Kubernetes would not take either; for what has no digit, which Kubernetes takes for 0
    (`Gi`); and for more than MAX_LENGTH characters or an exponent of three digits, which take long to compute.
    """

    __slots__ = ()

    MAX_LENGTH: ClassVar[int] = 32
    PATTERN: ClassVar[str] = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"

    def __new__(cls, text: str | int) -> Self:
        text = str(text)
        if len(text) > cls.MAX_LENGTH or not re.fullmatch(cls.PATTERN, text):
            raise ValueError(f"{text!r} is not a quantity; write it like 2Gi, 500M or 1024")
        return super().__new__(cls, text)

    @property
    def value(self) -> int:
        """The amount in its base unit (bytes for memory and disk), rounded up, capped to what 64 bits hold."""
        return _value(self)

    @property
    def milli(self) -> int:
        """The amount in thousandths, as CPUs are counted: 500 for `500m`; rounded and capped like `value`."""
        return _value(self, 1000)

    @classmethod
    def of_bytes(cls, amount: int) -> Self:
        """The shortest exact way to write an amount of bytes: 2147483648 is 2Gi."""
        for suffix, unit in reversed(_BINARY.items()):
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


class QuantityText(Quantity):
    """A quantity that is a string on the wire, for what CEL rules read in lists.

    How long a number-or-string may be, Kubernetes 1.32 does not look up when it estimates what a rule costs: it refuses
    the whole kind, as the rule is then too dear for each item of a list.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, _core_schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.PATTERN, "maxLength": cls.MAX_LENGTH}


@lru_cache(4096)  # hosts of a kind report the same amounts again and again, and fractions are slow
def _value(text: str, parts: int = 1) -> int:
    suffix = text.lstrip("+-.0123456789")
    number = Fraction(text.removesuffix(suffix))
    scale = _SCALE[suffix] if suffix in _SCALE else Fraction(10) ** int(suffix[1:])
    return max(-_LIMIT, min(ceil(number * scale * parts), _LIMIT))


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


def between(field: str, least: str, most: str, *, text: bool = False) -> Rule:
    """The rule that a quantity is within bounds, both included.

    Args:
        field: its name on the wire; always present.
        least: the smallest that is allowed, e.g. `0`.
        most: the greatest that is allowed, e.g. `1Ei`.
        text: whether it is a QuantityText. `string()` of a string would have no known length.
    """
    amount = f"quantity(self.{field})" if text else f"quantity(string(self.{field}))"
    return Rule(
        f"{amount}.compareTo(quantity('{least}')) >= 0 && {amount}.compareTo(quantity('{most}')) <= 0",
        f"{field} must be between {least} and {most}",
        field=f".{field}",
    )
