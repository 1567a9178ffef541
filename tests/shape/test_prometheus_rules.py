"""The rules for Prometheus: valid, each tried by promtool, each with a chapter of the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

FOLDER = ROOT / "deploy/prometheus"
ALERTS = FOLDER / "celeriac.rules.yml"
TESTS = FOLDER / "celeriac.rules.test.yml"
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus"
)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> None:
    assert PROMTOOL is not None
    ran = subprocess.run([PROMTOOL, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_the_configuration_and_all_rules_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", *sorted(FOLDER.glob("*.rules.yml")))


@needs_promtool
@pytest.mark.parametrize("tests", sorted(FOLDER.glob("*.test.yml")), ids=lambda path: path.name)
def test_rules_do_what_their_tests_say(tests: Path) -> None:
    promtool("test", "rules", tests)


def test_each_alert_is_tried_quiet_firing_and_over() -> None:
    told = {test["name"]: test["promql_expr_test"] for test in yaml.safe_load(TESTS.read_text())["tests"]}
    assert {f"Celeriac{name}" for name in told} == {rule["alert"] for rule in rules()}
    for name, steps in told.items():
        assert all(f'alertname="Celeriac{name}"' in step["expr"] for step in steps)
        assert [bool(step["exp_samples"]) for step in steps] == [False, True, False], name


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    chapter = re.sub(r"(?<!^)(?=[A-Z])", "-", rule["alert"].removeprefix("Celeriac")).lower()
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{chapter}"
    assert f"\n## {chapter}\n" in RUNBOOK
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")
