"""How a search goes on, whatever becomes of its trainings."""

from typing import Any

import pytest
from scripted import Ledger, Script, ScriptedPool
from searching import Searched

from closedloop.config import Params
from closedloop.errors import ConfigError, TrainingError
from closedloop.tuning.search import Trials
from closedloop.tuning.space import configured, read_space, with_values
from closedloop.tuning.study import Search, open_search
from closedloop.tuning.worker import Outcome, Work


def losses(work: Work) -> list[float]:
    """Best at a rate of 0.002; falls by epoch."""
    distance = abs(work.params.optimizer.lr - 0.002) * 100 + work.params.model.dropout
    return [distance + 1 / epoch for epoch in range(1, 6)]


def searched(project: Searched, params: Params, script: Script = losses, **pool: Any) -> tuple[Search, Ledger]:
    search, ledger = open_search(params, project.paths, read_space(params)), Ledger()
    try:
        Trials(search, ledger, params).run(ScriptedPool(script, **pool))  # type: ignore[arg-type]
    except KeyboardInterrupt:
        ledger.ended["all"] = ("interrupted", "")
    return search, ledger


def told(search: Search) -> list[tuple[Any, ...]]:
    return [(t.state.name, t.params, t.intermediate_values, t.value) for t in search.study.trials]


def states(search: Search) -> list[str]:
    return [trial.state.name for trial in search.study.trials]


@pytest.fixture
def twin(prepared: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Searched:
    """Another project like the first."""
    return Searched.enter(prepared, tmp_path_factory.mktemp("twin"), monkeypatch)


def test_the_first_trial_is_as_configured_and_the_best_is_at_least_as_good(project: Searched) -> None:
    params = project.params({"tune.trials": 12})
    search, _ = searched(project, params)
    own = configured(params)
    assert search.values(search.study.trials[0]) == {key: own[key] for key in search.space}
    assert states(search) == ["COMPLETE"] * 12
    assert search.best is not None and search.best.value <= search.study.trials[0].value


def test_a_configuration_outside_the_space_is_no_trial(project: Searched) -> None:
    search, _ = searched(project, project.params({"tune.trials": 2, "optimizer.lr": 0.5}))
    assert all(trial.params["optimizer.lr"] <= 0.02 for trial in search.study.trials)


@pytest.mark.parametrize("killed_at", [(0, 2), (4, 3), (11, 1)])
def test_interrupted_anywhere_and_run_again_it_is_the_search_that_nothing_had_disturbed(
    project: Searched, twin: Searched, killed_at: tuple[int, int]
) -> None:
    params = twin.params({"tune.trials": 13})
    undisturbed, _ = searched(twin, params)
    project.go()
    interrupted, ledger = searched(project, params, killed_at=killed_at)
    assert states(interrupted)[-1] == "RUNNING"
    assert ("interrupted", "") in ledger.ended.values()
    again, _ = searched(project, params)
    assert told(again) == told(undisturbed)


def test_more_trials_go_on_where_fewer_have_ended(project: Searched, twin: Searched) -> None:
    at_once, _ = searched(twin, twin.params({"tune.trials": 14}))
    project.go()
    for count in (5, 5, 14):
        in_parts, _ = searched(project, project.params({"tune.trials": count}))
        assert len(in_parts.ended) == count
    assert told(in_parts) == told(at_once)


def test_another_seed_of_the_sampler_draws_other_values(project: Searched, twin: Searched) -> None:
    here, _ = searched(twin, twin.params({"tune.trials": 4}))
    project.go()
    there, _ = searched(project, project.params({"tune.trials": 4, "tune.seed": 1}))
    assert told(here)[0] == told(there)[0]  # as configured
    assert told(here)[1:] != told(there)[1:]


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_trial_that_falls_behind_is_ended_early_and_never_the_best(project: Searched, pruner: str) -> None:
    params = project.params({"tune.trials": 25, "tune.pruner": pruner, "trainer.max_epochs": 5})
    search, ledger = searched(project, params)
    pruned = [trial for trial in search.study.trials if trial.state.name == "PRUNED"]
    assert pruned and search.best not in pruned
    assert all(len(trial.intermediate_values) < 5 for trial in pruned)
    assert {outcome for outcome, _ in ledger.ended.values()} == {"complete", "pruned"}


def test_a_loss_that_is_no_number_is_a_bad_trial_and_no_end(project: Searched) -> None:
    def diverging(work: Work) -> list[float] | Outcome:
        return Outcome("diverged", epochs=1, reason="val/loss became nan") if work.attempt == "trial-0001" else [1.0]

    search, ledger = searched(project, project.params({"tune.trials": 3}), diverging)
    assert states(search) == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert ledger.ended["trial 1"] == ("diverged", "val/loss became nan")


def test_a_training_whose_process_died_is_tried_once_more(project: Searched) -> None:
    deaths = {"trial-0000": 1, "trial-0001": 2}

    def dying(work: Work) -> list[float] | None:
        deaths[work.attempt] = deaths.get(work.attempt, 0) - 1
        return None if deaths[work.attempt] >= 0 else [1.0]

    search, ledger = searched(project, project.params({"tune.trials": 3}), dying)
    assert states(search) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "too little memory" in ledger.ended["trial 1"][1]


def test_when_nothing_can_be_trained_the_search_stops_with_the_reason(project: Searched) -> None:
    with pytest.raises(TrainingError, match="no trial can be trained: no such device"):
        searched(project, project.params({"tune.trials": 50}), lambda _: Outcome("broken", reason="no such device"))


def test_values_that_do_not_go_together_cost_their_trial_alone(
    project: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(params: Params, values: dict[str, Any]) -> Params:
        if values["optimizer.lr"] < 0.002 and values["model.dropout"] < 0.3:
            raise ConfigError("the configuration of this trial has 1 mistake: too slow and too sure")
        return with_values(params, values)

    monkeypatch.setattr("closedloop.tuning.search.with_values", picky)
    search, _ = searched(project, project.params({"tune.trials": 12}))
    assert set(states(search)) == {"COMPLETE", "FAIL"}
    assert len(search.ended) == 12


def test_a_metric_that_the_training_does_not_have_is_told_those_that_it_has(project: Searched) -> None:
    with pytest.raises(ConfigError, match=r"no val/f1; it has val/loss, val/accuracy"):
        searched(project, project.params({"tune.metric": "val/f1"}))


def test_what_is_maximized_has_its_best_at_the_top(project: Searched) -> None:
    params = project.params({"tune.trials": 12, "tune.metric": "val/accuracy", "tune.goal": "maximize"})
    search, _ = searched(project, params)
    assert search.best is not None and search.best.value == max(trial.value for trial in search.study.trials)


def test_other_data_or_another_space_are_another_search(project: Searched) -> None:
    params = project.params()
    same = project.params({"tune.trials": 9, "tune.jobs": 2, "tune.seed": 4, "optimizer.lr": 0.004})
    others = [project.params({"tune.space.optimizer.lr.low": 0.0001}), project.params({"trainer.max_epochs": 4})]
    first = open_search(params, project.paths, read_space(params)).name
    assert open_search(same, project.paths, read_space(same)).name == first
    for other in others:
        assert open_search(other, project.paths, read_space(other)).name != first
    project.paths.tensors("train").write_bytes(project.paths.tensors("validation").read_bytes())
    assert open_search(params, project.paths, read_space(params)).name != first
