"""What takes long by nature, outside `make test`: make soak SECONDS=1800.

Replicas under fire for so many seconds (tests/chaos), the tests marked `soak`, of which `make test` has a
short form, and all examples of the properties of which it tries a few (tests/unit). What came of it is kept
in benchmarks/results, with the commit that it is of.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import psutil

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = (
    ("tests/chaos",),
    ("tests", "--ignore=tests/chaos", "-m", "soak"),
    ("tests/unit", "-m", "not soak"),
)


class Outcome(NamedTuple):
    """Of one test; `result` is "passed", "failed", "error" or "skipped"."""

    test: str
    result: str
    seconds: float


def main() -> None:
    seconds = os.environ.get("CELERIAC_CHAOS_SECONDS") or "1800"
    seed = os.environ.get("CELERIAC_CHAOS_SEED") or str(random.randrange(10**6))
    fire = {"CELERIAC_CHAOS_SECONDS": seconds, "CELERIAC_CHAOS_SEED": seed}
    code, outcomes = run(PARTS, {**fire, "CELERIAC_TEST_EXAMPLES": "full"})
    now = dt.datetime.now(dt.UTC)
    commit = commit_of(ROOT)
    told = [f"make soak SECONDS={seconds} SEED={seed}", f"commit {commit}", machine()]
    page = RESULTS / f"{now:%Y-%m-%d-%H%M}-soak-{commit[:10]}.md"
    page.write_text(written(f"Soak, {now:%Y-%m-%d %H:%M}Z", told, outcomes))
    print(f"kept in {page.relative_to(ROOT)}")
    sys.exit(code)


def run(parts: Sequence[Sequence[str]], settings: Mapping[str, str]) -> tuple[int, list[Outcome]]:
    """Runs pytest on each part, all of them whatever comes of one; the first code that is not 0."""
    code, outcomes = 0, list[Outcome]()
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="celeriac-soak-") as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", *part, f"--junitxml={report}"]
            ended = subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, check=False)
            code = code or ended.returncode
            if report.exists():
                outcomes += outcomes_of(report)
    return code, outcomes


def outcomes_of(report: Path) -> list[Outcome]:
    """Of pytest's JUnit report, which it wrote itself."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):  # our own file
        faults = {child.tag for child in case} & {"failure", "error", "skipped"}
        result = {"failure": "failed"}.get(fault := min(faults, default="passed"), fault)
        name = f"{case.get('classname')}::{case.get('name')}"
        found.append(Outcome(name, result, float(case.get("time", 0))))
    return found


def written(title: str, told: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The page, in Markdown."""
    bad = [each for each in outcomes if each.result in ("failed", "error")]
    lines = [f"# {title}", "", *(f"- {line}" for line in told)]
    lines += [f"- {len(outcomes)} tests, {len(bad)} failed", "", "    seconds  result  test"]
    lines += [f"    {each.seconds:7,.0f}  {each.result:6}  {each.test}" for each in outcomes]
    return "\n".join([*lines, ""])


def commit_of(root: Path) -> str:
    """Its id, and whether something was changed since."""
    commit = _git(root, "rev-parse", "HEAD")
    return f"{commit}, changed since" if _git(root, "status", "--porcelain", "-uno") else commit


def machine() -> str:
    gigabytes = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {gigabytes:.0f} GB, Python {sys.version.split()[0]}"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=root, text=True).strip()


if __name__ == "__main__":
    main()
