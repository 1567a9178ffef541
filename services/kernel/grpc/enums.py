"""Maps enums of the domain to the contract's enums by the names of their members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

Member = TypeVar("Member", bound=Enum | str)
Wire = TypeVar("Wire", bound=int)


def wire_values(wire: type[Wire], members: Iterable[Member]) -> dict[Member, Wire]:
    """Returns the contract's value for each member, by its name: `RunState.LOST` gets `RUN_STATE_LOST`.

    A text is a name in lower case: "sunrise" gets `SOLAR_EVENT_SUNRISE`. Raises `ValueError` for a member
    that the contract does not have; enums are mapped when a module is imported, so the start fails then.
    """
    # The generated class is an EnumTypeWrapper at run time; the type checker sees a class of int.
    enum: Any = wire
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return {
        member: enum.Value(prefix + (member.name if isinstance(member, Enum) else member.upper()))
        for member in members
    }


def from_wire(values: Mapping[Member, int]) -> dict[int, Member]:
    """Returns the member for each number of the contract: the inverse of `wire_values`."""
    return {number: member for member, number in values.items()}
