"""Traits: what a host can do, as names that flavors and images ask for. The names are those of os-traits."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.meta import AS_SET, Model, Rule

Trait = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Z][A-Z0-9_]*$")]
"""E.g. `HW_CPU_X86_AVX2`; an administrator's own begin with `CUSTOM_`."""

Traits = Annotated[list[Trait], Field(max_length=64), AS_SET]


class TraitRequirements(Model):
    """What a host must and must not be able to do."""

    required: Traits = Field(default_factory=list)
    """All of these."""

    forbidden: Traits = Field(default_factory=list)
    """None of these."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "!has(self.required) || !has(self.forbidden) || self.required.all(trait, !(trait in self.forbidden))",
            "a trait cannot be both required and forbidden",
        )
    ]
