"""Names that Celery applications choose: whole up to 1,024 bytes, and cut beyond."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.names import MOST_BYTES, WorkerName, cut, fits

# What JSON can hold; mostly of characters of several bytes, and around the limit.
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=1200) | st.text(
    "長😀a", min_size=200, max_size=1200
)


@given(names)
def test_a_name_that_fits_is_left_and_another_is_cut_at_a_character(name: str) -> None:
    found = cut(name)
    assert fits(found) and len(found.encode()) <= MOST_BYTES
    if len(name.encode()) <= MOST_BYTES:
        assert fits(name) and found == name
    else:
        assert not fits(name)
        assert found.endswith("…") and name.startswith(found[:-1])
        assert len(found.encode()) > MOST_BYTES - 4


def test_a_worker_is_named_by_hostname_and_process() -> None:
    assert str(WorkerName("celery@host", 4711)) == "celery@host~4711"
    assert str(WorkerName("celery@host")) == "celery@host"
