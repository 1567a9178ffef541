"""The standing rules, from standing_rules.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files

from services.monitor.alerts.rule import Rule, rule_of
from services.monitor.alerts.runbook import chapter


def _standing() -> Mapping[str, Rule]:
    told = tomllib.loads(files(__package__).joinpath("standing_rules.toml").read_text(encoding="utf-8"))
    return {
        name: rule_of(name, {"runbook_url": chapter(name), **values}, standing=True)
        for name, values in told.items()
    }


STANDING = _standing()
