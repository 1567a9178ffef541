"""An enum of the domain beside the enum of the contract that has the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

Member = TypeVar("Member", bound=Enum | str)
Wire = TypeVar("Wire", bound=int)


def wire_values(wire: type[Wire], members: Iterable[Member]) -> dict[Member, Wire]:
    """The contract's value for each member, by its name: `RunState.LOST` gets `RUN_STATE_LOST`.

    A text stands for the name in small letters: "sunrise" gets `SOLAR_EVENT_SUNRISE`. Raises `ValueError` for
    a member that the contract does not have; enums are mapped when a module is loaded, so the start fails.
    """
    # The generated class is an EnumTypeWrapper at run time; the type checker sees a class of int.
    enum: Any = wire
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return {
        member: enum.Value(prefix + (member.name if isinstance(member, Enum) else member.upper()))
        for member in members
    }


def from_wire(values: Mapping[Member, int]) -> dict[int, Member]:
    """The member for each of the contract's numbers."""
    return {number: member for member, number in values.items()}
