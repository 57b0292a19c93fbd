"""How the server did: alarms only where chance is no explanation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from closedloop.config import Monitor
from closedloop.monitoring.service import figures, judge_service, reasons, share_at_least

CONFIG = Monitor()


def test_a_server_that_does_well_gives_no_reason() -> None:
    served = judge_service(np.full(300, 4.0), {200: 290, 422: 10}, CONFIG)
    assert reasons(served) == []
    assert served["latency"]["p95"] == 4.0
    assert (served["errors"]["share"], served["rejected"]["share"]) == (0.0, 10 / 300)


def test_one_error_in_ten_requests_says_nothing_and_the_same_share_of_a_thousand_does() -> None:
    assert reasons(judge_service([], {200: 9, 500: 1}, CONFIG)) == []
    (reason,) = reasons(judge_service([], {200: 900, 500: 60, 503: 40}, CONFIG))
    assert "100 of 1,000 requests (10.0%) failed (60 with 500, 40 with 503)" in reason
    assert "monitor.max_error_share 0.01" in reason


def test_refusals_alarm_by_their_own_bound() -> None:
    (reason,) = reasons(judge_service([], {200: 600, 413: 300, 422: 100}, CONFIG))
    assert "were refused (300 with 413, 100 with 422)" in reason
    assert "monitor.max_rejected_share 0.2" in reason


def test_who_may_not_ask_raises_and_hides_no_alarm() -> None:
    strangers = {401: 9_000, 403: 500, 404: 10, 405: 10, 421: 10}
    assert reasons(judge_service([], {200: 300, 422: 3, **strangers}, CONFIG)) == []
    assert len(reasons(judge_service([], {200: 200, 422: 200, 500: 100, **strangers}, CONFIG))) == 2


def test_latency_alarms_when_certainly_more_than_a_twentieth_is_slow() -> None:
    def slow(count: int) -> list[str]:
        latency = np.full(300, 5.0)
        latency[:count] = 80.0
        return reasons(judge_service(latency, {}, CONFIG))

    assert slow(15) == []  # exactly a twentieth
    assert slow(20) == []  # more, but chance explains it
    (reason,) = slow(60)
    assert "95th percentile of latency 80.0 ms" in reason
    assert "20.0% of 300 answers took longer than monitor.max_latency_ms 50" in reason


def test_nothing_counted_is_no_alarm_and_no_figure() -> None:
    served = judge_service([], {}, CONFIG)
    assert served == {"latency": None, "errors": None, "rejected": None}
    assert (reasons(served), figures(served)) == ([], {})


def test_figures_are_named_for_mlflow() -> None:
    served = judge_service([1.0, 2.0, 3.0], {200: 3, 503: 1}, CONFIG)
    assert figures(served) == {
        "service/latency_p50_ms": 2.0,
        "service/latency_p95_ms": pytest.approx(2.9),
        "service/latency_p99_ms": pytest.approx(2.98),
        "service/errors_share": 0.25,
        "service/rejected_share": 0.0,
    }


@given(st.integers(1, 400), st.floats(0.001, 0.3), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_bound_exceeds_the_true_share_no_more_often_than_it_promises(
    trials: int, share: float, confidence: float
) -> None:
    events = np.arange(trials + 1)
    exceeding = np.array([share_at_least(int(k), trials, confidence) > share for k in events])
    assert binom.pmf(events[exceeding], trials, share).sum() <= 1 - confidence + 1e-9


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_the_bound_is_a_share_below_the_observed_one_and_rises_with_the_events(events: int, more: int) -> None:
    trials = events + more
    low = share_at_least(events, trials, 0.99)
    assert 0 <= low <= events / trials
    assert share_at_least(events + 1, trials, 0.99) > low


@given(st.dictionaries(st.sampled_from([200, 204, 400, 413, 422, 429, 500, 503]), st.integers(0, 10_000)))
def test_every_request_is_counted_once(requests: dict[int, int]) -> None:
    served = judge_service([], requests, CONFIG)
    total = sum(requests.values())
    if not total:
        assert served["errors"] is None
        return
    counted = served["errors"]["count"] + served["rejected"]["count"]
    assert counted == total - requests.get(200, 0) - requests.get(204, 0)
