"""All items of the evidence are of about the same time: what was seen before slow trips is looked at again."""

from datetime import datetime, timedelta

import pytest

from kinky.errors import WaitError
from tests.unit.fake_store import Operator, set_store
from tests.unit.test_store import host, operator, prove  # noqa: F401 - fixtures


def delay_copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, seconds: float) -> Operator:
    """Have each value take so long to arrive."""
    running: Operator = request.getfixturevalue("operator")
    copy, since = running._copy, [running.now]

    def copy_late() -> None:
        copies = running.copies
        if running.now - since[0] >= seconds:
            copy()
        since[0] = running.now if running.copies > copies else since[0]

    monkeypatch.setattr(running, "_copy", copy_late)
    return running


@pytest.mark.parametrize("seconds", [10, 100, 200])
def test_no_item_of_the_evidence_is_older_than_two_minutes(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, seconds: float
) -> None:
    delay_copies(request, monkeypatch, seconds)
    record = prove(limit_seconds=1200)
    # Of two trips that take longer than that, the first cannot but be older.
    seen = [datetime.fromisoformat(item.seen_at) for item in record.items if seconds < 120 or item.item != "G2"]
    assert max(seen) - min(seen) <= timedelta(seconds=120)
    assert [item.item for item in record.items] == [f"G{number}" for number in range(1, 8)]


def test_a_store_that_was_valid_before_slow_trips_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    running = delay_copies(request, monkeypatch, 100)
    slow = running._copy

    def fail_late() -> None:
        slow()
        if running.copies == 2:
            set_store(running.inner, "False", "InvalidProviderConfig")

    monkeypatch.setattr(running, "_copy", fail_late)
    with pytest.raises(WaitError, match="G1: the secrets store is Ready"):
        prove(limit_seconds=600)
