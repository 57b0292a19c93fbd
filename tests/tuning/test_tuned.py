"""The file with the best values: the configuration that takes it up is the one that was trained."""

import shutil
from pathlib import Path

import pytest

from closedloop import composition
from closedloop.config import parse
from closedloop.errors import ConfigError
from closedloop.tuning.space import configured, with_values
from closedloop.tuning.tuned import write_tuned

CONF = Path(__file__).parents[2] / "conf"
VALUES = {"optimizer.lr": 0.01234, "model.filters": [8, 16], "model.dropout": 0.25}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(CONF, tmp_path / "conf")
    return tmp_path / "conf"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer.lr=0.5", "tune.trials=4", "trainer.max_epochs=7", "~tune.space.model.dense"],
        ["optimizer=sgd", "augmentation=none", "seed=3"],
    ],
)
def test_the_configuration_with_the_file_is_the_one_that_was_trained(conf: Path, overrides: list[str]) -> None:
    params = parse(composition.compose("digits", overrides, conf), "conf")
    _, kept = write_tuned(params, VALUES, ["a: remark # with marks"], conf)
    taken = parse(composition.compose("digits", kept, conf), "conf")
    assert configured(taken) == configured(with_values(params, VALUES))
    assert taken.seed == params.seed
    assert not [override for override in kept if "tune." in override]


def test_what_an_earlier_search_has_found_and_this_one_left_alone_stays(conf: Path) -> None:
    params = parse(composition.compose("digits", [], conf), "conf")
    write_tuned(params, {"trainer.batch_size": 32, **VALUES}, [], conf)
    second = parse(composition.compose("digits", ["tuned=digits"], conf), "conf")
    _, kept = write_tuned(second, {"optimizer.lr": 0.002}, [], conf)
    taken = configured(parse(composition.compose("digits", kept, conf), "conf"))
    assert (taken["trainer.batch_size"], taken["model.filters"], taken["optimizer.lr"]) == (32, [8, 16], 0.002)


def test_a_file_written_anew_makes_params_stale(conf: Path, tmp_path: Path) -> None:
    params = parse(composition.compose("digits", [], conf), "conf")
    _, kept = write_tuned(params, VALUES, [], conf)
    composition.write(tmp_path / "params.yaml", "digits", kept, conf)
    composition.check_current(tmp_path / "params.yaml", conf)
    write_tuned(params, {**VALUES, "optimizer.lr": 0.002}, [], conf)
    with pytest.raises(ConfigError, match=r"optimizer\.lr is 0\.01234 but conf/ says 0\.002.*ARGS='tuned=digits'"):
        composition.check_current(tmp_path / "params.yaml", conf)
