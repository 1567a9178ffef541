"""How moments and spans are written in sentences."""

from __future__ import annotations

import datetime as dt


def moment(found: dt.datetime) -> str:
    """2026-11-30 03:30:00Z"""
    return f"{found.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def seconds(found: float) -> str:
    return f"{found:.3f}".rstrip("0").rstrip(".") + " s"
