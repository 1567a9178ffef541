"""Values as people read them."""

from __future__ import annotations

from services.monitor.measuring.measures import Unit

SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def shown(value: float, unit: Unit) -> str:
    """Returns the value with its unit: "512 MiB", "97.5 %", "2.5 min"."""
    match unit:
        case Unit.BYTES:
            return _bytes(value)
        case Unit.SECONDS:
            return _seconds(value)
        case Unit.PERCENT:
            return f"{value:.4g} %"
        case Unit.PER_SECOND:
            return f"{value:.4g} per second"
        case _:
            return f"{value:.10g}"


def _bytes(value: float) -> str:
    size = 0
    while abs(value) >= 1024 and size < len(SIZES) - 1:
        value, size = value / 1024, size + 1
    return f"{value:.4g} {SIZES[size]}"


def _seconds(value: float) -> str:
    for seconds, name in SPANS:
        if abs(value) >= 2 * seconds:
            return f"{value / seconds:.3g} {name}"
    return f"{value:.3g} s"
