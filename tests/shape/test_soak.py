"""What `make soak` keeps says of which commit it is, and which tests failed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import ROOT, commit_of, run, written

TESTS = """
def test_that_passes():
    pass

def test_that_fails():
    assert False
"""


def test_a_soak_fails_when_one_part_does_and_its_page_names_the_test(tmp_path: Path) -> None:
    bad, good = tmp_path / "test_bad.py", tmp_path / "test_good.py"
    bad.write_text(TESTS)
    good.write_text("def test_of_the_other_part():\n    pass\n")
    alone = ("-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-c", "/dev/null")
    code, outcomes = run([(str(bad), *alone), (str(good), *alone)], {})
    assert code == 1
    results = {outcome.test.rpartition("::")[2]: outcome.result for outcome in outcomes}
    assert results == {
        "test_that_passes": "passed",
        "test_that_fails": "failed",
        "test_of_the_other_part": "passed",
    }
    page = written("Soak", [f"commit {commit_of(ROOT)}"], outcomes)
    assert "3 tests, 1 failed" in page
    [line] = [line for line in page.splitlines() if "test_that_fails" in line]
    assert "failed" in line
