"""What every part of the ASRPool's schema shares.

The pydantic models are the one source of the CRD: types, bounds, defaults and descriptions (the attribute docstrings)
go into the OpenAPI schema. A `Rule` is a condition over several fields, written once as CEL for the API server and
once in Python for `asrpool plan` and the tests, with one sentence that both say when it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """One condition on a group. `field` is what the API server names as the place of the error (relative, camelCase).

    The CEL must hold for an empty group too (`has(…)`), since the API server checks the default `{}` before it fills in
    the defaults of the fields.
    """

    cel: str
    sentence: str
    holds: Callable[[Any], bool]
    field: str = ""


class Group(BaseModel):
    """Base of all spec groups: camelCase outside, snake_case inside, immutable, unknown fields are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.sentence)
        return self
