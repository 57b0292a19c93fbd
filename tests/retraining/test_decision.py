"""When to retrain: each of the reasons, what it waits for, and what holds for every history of checks and attempts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Retraining
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check
from closedloop.prediction_log.clock import DAY, HOUR
from closedloop.retraining.decision import Decision, Deployed, counted, decide, is_over

NOW = 1_800_000_000_000_000  # microseconds
CHAMPION = Deployed(version=2, registered=NOW - 30 * DAY)
OVER = ("promoted", "refused", "unchanged", "failed")


def window(ended: float, verdict: str = "drift", version: int = 2, accuracy: dict[str, float] | None = None) -> Check:
    """A check of an hour that ended so many hours ago."""
    end = NOW - int(ended * HOUR)
    reasons = ["brightness moved"] if verdict == "drift" else []
    report: dict[str, Any] = {"reasons": reasons, "drifted": verdict == "drift", "accuracy": accuracy}
    return Check(
        task="digits",
        start=end - HOUR,
        end=end,
        version=version,
        time=end,
        rows=300,
        verdict=verdict,
        report=report,
        alert=None,
    )


def attempt(started: float, ended: float | None, outcome: str = "promoted", *, transient: bool = False) -> Attempt:
    """An attempt that began and ended so many hours ago."""
    return Attempt(
        id=f"{started:026.3f}",
        task="digits",
        started=NOW - int(started * HOUR),
        ended=None if ended is None else NOW - int(ended * HOUR),
        process="host:1",
        trigger="drift",
        reasons=["because"],
        partition=None,
        data=None,
        champion_before=1,
        challenger=2,
        champion_after=2,
        outcome=outcome,
        verdict={"error": "…", "transient": transient} if outcome == "failed" else {},
    )


def decided(
    checks: list[Check], attempts: list[Attempt] | None = None, labels: int = 500, *, by_hand: bool = False, **keys: Any
) -> Decision:
    config = Retraining(**keys)
    return decide(checks, attempts or [], labels, champion=CHAMPION, now=NOW, config=config, by_hand=by_hand)


def test_two_of_the_last_three_windows_with_the_latest_among_them_are_a_reason() -> None:
    found = decided([window(3), window(2, "clean"), window(1)])
    assert found.trigger == "drift"
    assert found.reasons == [
        "2 of the last 3 windows of version 2 drifted, the latest, up to 2027-01-15 07:00 UTC, among them "
        "(brightness moved)"
    ]
    assert found.waiting == []


@pytest.mark.parametrize(
    "verdicts",
    [["drift"], ["drift", "clean", "clean"], ["drift", "drift", "clean"], ["drift", "clean", "clean", "drift"], []],
)
def test_fewer_alarms_or_a_clean_end_are_none(verdicts: list[str]) -> None:
    found = decided([window(len(verdicts) - n, verdict) for n, verdict in enumerate(verdicts)])
    assert found.trigger is None
    assert found.waiting and not found.starved


def test_windows_too_small_to_judge_neither_confirm_nor_end_an_alarm() -> None:
    assert decided([window(3), window(2), window(1, "too_few_rows")]).trigger == "drift"
    assert decided([window(3), window(2, "too_few_rows"), window(1, "too_few_rows")]).trigger is None


def test_a_slow_or_failing_server_is_no_reason_to_retrain() -> None:
    slow = [replace(check, report={**check.report, "drifted": False}) for check in (window(2), window(1))]
    assert decided(slow).trigger is None


def test_a_server_alarm_over_too_few_rows_does_not_end_an_alarm_about_the_model() -> None:
    slow = window(1)
    slow = replace(slow, report={**slow.report, "drifted": False, "judged": False})
    assert decided([window(3), window(2), slow]).trigger == "drift"


def test_the_same_traffic_counts_once() -> None:
    assert decided([window(2), window(1.5)]).trigger is None  # windows of an hour: half of it is the same
    assert decided([window(2), window(1), window(1.5)]).trigger == "drift"


def test_alarms_of_a_version_that_is_no_longer_champion_do_not_count() -> None:
    before = [window(3, version=1), window(2, version=1)]
    assert decided([*before, window(1)]).trigger is None
    assert "no window of version 2" in decided(before).waiting[0]


def test_windows_that_an_attempt_has_answered_do_not_count_again() -> None:
    alarms = [window(10), window(9)]
    for outcome in OVER:
        assert decided(alarms, [attempt(8, 7.5, outcome)]).trigger is None
    assert decided([*alarms, window(7)], [attempt(8, 7.5)]).trigger is None
    assert decided([*alarms, window(7), window(6)], [attempt(8, 7.5)]).trigger == "drift"


def test_an_attempt_that_was_interrupted_or_met_a_full_disk_is_as_though_it_had_not_been() -> None:
    alarms = [window(3), window(2)]
    for gone in (attempt(1, None, "interrupted"), attempt(1, 0.5, "failed", transient=True)):
        assert decided(alarms, [gone]).trigger == "drift"
    assert decided(alarms, [attempt(1, 0.5, "failed")]).trigger is None


def test_the_cool_down_runs_from_the_end_of_the_last_attempt() -> None:
    alarms = [window(6), window(5)]
    long = attempt(started=7, ended=4)  # a training of three hours
    waiting = decided(alarms, [long], cooldown_hours=6)
    assert waiting.trigger is None
    assert waiting.reasons  # the reason stands, and is said
    assert "2027-01-15 10:00 UTC at the earliest" in waiting.waiting[0]
    assert decided(alarms, [long], cooldown_hours=4).trigger == "drift"
    assert decided(alarms, [long], cooldown_hours=6, by_hand=True).trigger == "by_hand"


def test_too_few_labels_are_named_and_an_alarm_that_lacks_them_is_starved() -> None:
    found = decided([window(2), window(1)], labels=40)
    assert found.trigger is None
    assert found.starved
    assert found.waiting == [
        "40 new labels are there and 150 are needed (retraining.min_labels): send the true labels of 110 more "
        "predictions to /feedback"
    ]
    assert decided([window(2), window(1)], labels=150).trigger == "drift"
    none = decided([window(2), window(1)], labels=0)
    assert none.starved and "0 new labels are there and 150 are needed" in none.waiting[0]


def test_by_hand_or_on_schedule_without_labels_there_is_nothing_new_to_learn_from() -> None:
    for found in (
        decided([], labels=0, by_hand=True),
        decided([], labels=0, every_days=1),
        decided([window(1, "clean")], labels=0, by_hand=True),
    ):
        assert found.trigger is None
        assert not found.starved
        assert found.waiting == ["there is nothing new to learn from: no label has arrived that no partition holds yet"]
    few = decided([], labels=99, by_hand=True)
    assert few.trigger is None and "99 new labels are there and 150 are needed" in few.waiting[0]
    assert decided([], labels=150, by_hand=True).trigger == "by_hand"


def test_accuracy_is_lost_when_its_whole_interval_lies_below_the_floor() -> None:
    low, straddling = ({"value": 0.8, "low": 0.7, "high": high} for high in (0.85, 0.9))
    found = decided([window(1, "clean", accuracy=low)], min_accuracy=0.9)
    assert found.trigger == "quality"
    assert "accuracy 0.800 [0.700, 0.850]" in found.reasons[0]
    assert decided([window(1, "clean", accuracy=straddling)], min_accuracy=0.9).trigger is None
    assert decided([window(1, "clean", accuracy=low)]).trigger is None  # no floor
    # the latest window that has labels, however many without came later
    assert decided([window(2, "clean", accuracy=low), window(1, "clean")], min_accuracy=0.9).trigger == "quality"
    recovered = [window(2, "clean", accuracy=low), window(1, "clean", accuracy=straddling)]
    assert decided(recovered, min_accuracy=0.9).trigger is None


def test_new_labels_are_a_reason_when_there_are_as_many_as_asked_for() -> None:
    assert decided([], labels=1000, new_labels=1000).trigger == "new_labels"
    assert decided([], labels=999, new_labels=1000).trigger is None
    assert decided([], labels=10**6).trigger is None  # off


def test_the_schedule_counts_from_the_last_attempt_or_from_the_champions_registration() -> None:
    assert decided([], every_days=30).trigger == "schedule"
    assert decided([], every_days=30.5).trigger is None
    assert decided([], [attempt(47, 46)], every_days=2).trigger is None
    assert decided([], [attempt(49, 46)], every_days=2).trigger == "schedule"


def test_every_reason_is_said_and_drift_is_the_weightiest() -> None:
    found = decided([window(2), window(1)], labels=1000, new_labels=1000, every_days=7)
    assert found.trigger == "drift"
    assert len(found.reasons) == 3


verdicts = st.sampled_from(["drift", "clean", "too_few_rows"])
hours = st.floats(0, 100, allow_nan=False)
windows = st.lists(st.builds(window, hours, verdicts, st.sampled_from([1, 2, 2, 2])), max_size=12)
finished = st.builds(
    lambda started, length, outcome, transient: attempt(
        started, max(0.0, started - length), outcome, transient=transient
    ),
    hours,
    st.floats(0, 10),
    st.sampled_from(OVER),
    st.booleans(),
)
pasts = st.lists(finished, max_size=4)
configs = st.builds(
    lambda n, k, cooldown, new, days: Retraining(
        windows=n, alarms=min(n, k), cooldown_hours=cooldown, new_labels=new, every_days=days
    ),
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0, 50),
    st.sampled_from([0, 300]),
    st.sampled_from([0.0, 2.0]),
)
labels = st.integers(0, 1000)


def decide_now(checks: list[Check], past: list[Attempt], count: int, config: Retraining) -> Decision:
    return decide(checks, past, count, champion=CHAMPION, now=NOW, config=config)


@given(windows, pasts, labels, configs, st.booleans())
def test_it_either_starts_or_says_what_it_waits_for(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining, by_hand: bool
) -> None:
    found = decide(checks, past, count, champion=CHAMPION, now=NOW, config=config, by_hand=by_hand)
    assert (found.trigger is None) == bool(found.waiting)
    assert found.trigger is None or found.reasons
    assert found.trigger is None or count >= config.min_labels
    assert not found.starved or (found.trigger is None and count < config.min_labels)


@given(windows, pasts, labels, configs)
def test_it_never_starts_inside_the_cool_down(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining
) -> None:
    cooling = [a for a in past if is_over(a) and a.ended and NOW - a.ended < config.cooldown_hours * HOUR - 1]
    if cooling:
        assert decide_now(checks, past, count, config).trigger is None


@given(windows, pasts, labels, configs)
def test_the_same_alarms_never_start_two(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining
) -> None:
    """Whatever started an attempt that ended just now: once its cool-down is over, drift needs windows of its own."""
    again = config.model_copy(update={"cooldown_hours": 0, "new_labels": 0, "every_days": 0})
    assert decide_now(checks, [*past, attempt(0, 0)], count, again).trigger is None


@given(windows, pasts, st.integers(150, 1000), configs)
def test_it_always_starts_when_alarms_labels_and_cool_down_allow_it(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining
) -> None:
    over = [a for a in past if is_over(a)]
    if any((a.ended or a.started) + config.cooldown_hours * HOUR > NOW for a in over):
        return
    since = max((a.started for a in over), default=0)
    latest = counted(checks, CHAMPION.version, since)[-config.windows :]
    alarmed = sum(check.verdict == "drift" for check in latest) >= config.alarms and latest[-1].verdict == "drift"
    assert (decide_now(checks, past, count, config).trigger == "drift") == alarmed


@given(windows, pasts, labels, configs, st.data())
def test_an_alarm_more_never_stops_it_and_neither_do_more_labels(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining, data: st.DataObject
) -> None:
    if decide_now(checks, past, count, config).trigger is None:
        return
    more = count + data.draw(st.integers(0, 1000))
    clean = [number for number, check in enumerate(checks) if check.verdict == "clean"]
    turned = list(checks)
    for number in data.draw(st.sets(st.sampled_from(clean))) if clean else ():
        turned[number] = replace(checks[number], verdict="drift", report=window(0).report)
    assert decide_now(turned, past, more, config).trigger is not None
    assert decide_now([*turned, window(0)], past, more, config).trigger is not None


@given(windows, pasts, labels, configs)
def test_the_order_in_which_the_log_returns_its_rows_does_not_matter(
    checks: list[Check], past: list[Attempt], count: int, config: Retraining
) -> None:
    one = decide_now(checks, past, count, config)
    other = decide_now(checks[::-1], past[::-1], count, config)
    distinct = len({(c.start, c.end) for c in checks}) == len(checks)
    assert not distinct or one == other
