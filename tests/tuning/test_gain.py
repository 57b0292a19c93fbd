"""The gain of a search is told with an interval, and on seeds that have not chosen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scripted import Ledger, ScriptedPool
from searching import Searched

from closedloop.config import Params
from closedloop.tuning.gain import Repeats, gains
from closedloop.tuning.space import configured, read_space
from closedloop.tuning.study import open_search
from closedloop.tuning.worker import Outcome, Work

PARAMS = Searched.params(Searched(None))  # type: ignore[arg-type]
numbers = st.floats(-10, 10).map(lambda x: round(x, 6))
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8)


def of(values: list[tuple[float, float]]) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [({"epoch": 1, "val/loss": best}, {"epoch": 1, "val/loss": own}) for best, own in values]


@given(pairs)
def test_the_interval_is_that_of_the_paired_t_test_and_less_loss_is_a_gain(values: list[tuple[float, float]]) -> None:
    (found,) = gains(of(values), PARAMS)
    assert (found.metric, found.seeds, found.confidence) == ("val/loss", len(values), 0.95)
    assert found.gain == pytest.approx(found.configured - found.best, abs=1e-9)
    assert found.low <= found.gain <= found.high
    if len({own - best for best, own in values}) > 1:
        expected = stats.ttest_rel([own for _, own in values], [best for best, _ in values]).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


@given(pairs)
def test_what_the_one_gains_the_other_loses(values: list[tuple[float, float]]) -> None:
    (one,), (other,) = gains(of(values), PARAMS), gains(of([(own, best) for best, own in values]), PARAMS)
    assert (one.gain, one.low, one.high) == pytest.approx((-other.gain, -other.high, -other.low), abs=1e-9)


def test_more_accuracy_is_a_gain_and_the_figure_of_the_search_comes_first() -> None:
    rows = [({"val/accuracy": 0.9, "val/loss": 0.1}, {"val/accuracy": 0.8, "val/loss": 0.3})] * 2
    assert [(one.metric, round(one.gain, 6)) for one in gains(rows, PARAMS)] == [
        ("val/loss", 0.2),
        ("val/accuracy", 0.1),
    ]


def test_a_single_pair_tells_nothing() -> None:
    assert gains(of([(0.1, 0.2)]), PARAMS) == []


def test_both_sets_of_values_are_trained_with_the_same_other_seeds_and_only_once(project: Searched) -> None:
    def repeated(params: Params, pool: ScriptedPool) -> list[tuple[dict[str, float], dict[str, float]]]:
        search = open_search(params, project.paths, read_space(params))
        best = {key: value for key, value in configured(params).items() if key in search.space} | {"optimizer.lr": 0.01}
        return Repeats(search, Ledger(), params, best).run(pool)  # type: ignore[arg-type]

    def losses(work: Work) -> list[float] | Outcome:
        diverges = work.params.seed == 2 and work.params.optimizer.lr == 0.01
        return Outcome("diverged", reason="nan") if diverges else [work.params.optimizer.lr + work.params.seed]

    pool = ScriptedPool(losses)
    found = repeated(project.params({"tune.repeats": 3}), pool)
    assert [(work.params.seed, work.params.optimizer.lr) for work in pool.begun] == [
        (seed, lr) for seed in (1, 2, 3) for lr in (0.01, 0.003)
    ]  # the search itself used seed 0
    assert [(best["val/loss"], own["val/loss"]) for best, own in found] == [(1.01, 1.003), (3.01, 3.003)]
    more = ScriptedPool(losses)
    assert len(repeated(project.params({"tune.repeats": 4}), more)) == 3
    assert {work.params.seed for work in more.begun} == {4}
