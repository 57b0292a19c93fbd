"""params.yaml: composed from conf/, every mistake named, staleness noticed."""

import shutil
from pathlib import Path

import pytest
import yaml

from closedloop import composition
from closedloop.config import load, parse
from closedloop.errors import ConfigError

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    composition.write(file, "digits", ["trainer.max_epochs=3"], CONF)
    return file


@pytest.mark.parametrize("task", sorted(path.stem for path in (CONF / "task").glob("*.yaml")))
def test_every_shipped_task_is_a_valid_configuration(task: str, tmp_path: Path) -> None:
    assert composition.write(tmp_path / "params.yaml", task, conf=CONF).task.name == task


@pytest.mark.parametrize(
    "choice",
    sorted(
        f"{path.parent.name}={path.stem}"
        for path in CONF.glob("*/*.yaml")
        if path.parent.name not in ("task", "source")
    ),
)
def test_every_shipped_option_composes_with_a_shipped_task(choice: str, tmp_path: Path) -> None:
    refusals = []
    for task in sorted(path.stem for path in (CONF / "task").glob("*.yaml")):
        try:
            composition.write(tmp_path / "params.yaml", task, [choice], CONF)
            return
        except ConfigError as error:
            refusals.append(str(error))
    pytest.fail("\n".join(refusals))


def test_options_of_another_kind_are_refused_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        composition.write(tmp_path / "params.yaml", "digits", ["augmentation=spectrogram", "preprocess=log_mel"], CONF)
    for key in ("augmentation.name: spectrogram", "preprocess.features.name: log_mel"):
        assert f"{key} does not go with task.kind images; allowed: " in str(raised.value)


@pytest.mark.parametrize("named", ["right,left", "a,b,c"])
def test_the_actions_of_a_task_are_those_of_its_environment(named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.classes: .* does not go with .*; its actions are \[left, right\]"):
        composition.write(tmp_path / "params.yaml", "cartpole", [f"task.classes=[{named}]"], CONF)


def test_the_committed_params_are_current() -> None:
    composition.check_current(ROOT / "params.yaml", CONF)


def test_overrides_are_recorded_and_composed_again(params: Path) -> None:
    assert load(params).composed.overrides == ["trainer.max_epochs=3"]
    assert load(params).trainer.max_epochs == 3
    composition.check_current(params, CONF)


def test_a_change_in_conf_makes_params_stale_in_one_line_that_names_key_and_way_out(
    params: Path, tmp_path: Path
) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    trainer = conf / "trainer" / "default.yaml"
    trainer.write_text(trainer.read_text().replace("compile: false", "compile: true"))
    with pytest.raises(ConfigError) as raised:
        composition.check_current(params, conf)
    message = str(raised.value)
    assert "trainer.compile is false but conf/ says true" in message
    assert "make params TASK=digits ARGS='trainer.max_epochs=3'" in message
    assert "\n" not in message


def test_a_hand_edited_value_can_be_kept_with_the_command_in_the_message(params: Path) -> None:
    params.write_text(params.read_text().replace("batch_size: 64", "batch_size: 32"))
    with pytest.raises(ConfigError, match=r"trainer\.batch_size=32"):
        composition.check_current(params, CONF)
    composition.write(params, "digits", ["trainer.max_epochs=3", "trainer.batch_size=32"], CONF)
    composition.check_current(params, CONF)


def test_three_mistakes_in_values_are_all_named(params: Path) -> None:
    content = yaml.safe_load(params.read_text())
    content["trainer"]["max_epochs"] = -1
    content["model"]["dropot"] = 0.1
    content["optimizer"]["lr"] = "fast"
    with pytest.raises(ConfigError) as raised:
        parse(content, "params.yaml")
    message = str(raised.value)
    assert "3 mistakes" in message
    assert "trainer.max_epochs: Input should be greater than or equal to 1 (found -1)" in message
    assert "model.dropot: unknown key; allowed here: dense, dropout, filters" in message
    assert "optimizer.lr" in message and "'fast'" in message
    assert raised.value.exit_code == 2


def test_mistakes_below_a_choice_are_named_by_the_key_that_a_person_wrote(params: Path) -> None:
    content = yaml.safe_load(params.read_text())
    content["source"]["format"]["parts"][0]["labls"] = "x"
    content["source"]["format"]["pixel_max"] = "white"
    content["model"]["name"] = "perceptron"
    with pytest.raises(ConfigError) as raised:
        parse(content, "params.yaml")
    message = str(raised.value)
    assert "source.format.parts.0.labls: unknown key; allowed here: images, labels, split" in message
    assert "source.format.pixel_max: Input should be a valid integer" in message
    assert "model.name: must be one of cnn, " in message and "(found 'perceptron')" in message


def test_all_wrong_overrides_are_named_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        composition.write(tmp_path / "params.yaml", "digits", ["trainer.epochs=3", "optimiser.lr=1"], CONF)
    assert "trainer.epochs: unknown key; allowed here: accelerator, batch_size" in str(raised.value)
    assert "optimiser: unknown key; allowed here: augmentation, composed" in str(raised.value)
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.parametrize("override", ["=3", "trainer=null", "model=transformer", "trainer.max_epochs:3", "seed"])
def test_an_override_that_hydra_cannot_read_is_a_mistake_and_not_a_traceback(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError) as raised:
        composition.write(tmp_path / "params.yaml", "digits", [override], CONF)
    assert override.partition("=")[0] in str(raised.value)


def test_a_key_of_the_schema_that_a_file_leaves_out_can_be_set(tmp_path: Path) -> None:
    assert composition.write(tmp_path / "params.yaml", "digits", ["source.retries=1"], CONF).source.retries == 1


def test_an_unknown_task_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no task 'minst'; conf/task/ has: .*mnist"):
        composition.write(tmp_path / "params.yaml", "minst", conf=CONF)


def test_a_task_file_wins_over_every_default(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    own = (conf / "task" / "digits.yaml").read_text().replace("name: digits", "name: own")
    own += "\nseed: 7\nvalidation: {max_duplicate_share: 0.42}\nevaluation: {resamples: 333}\n"
    (conf / "task" / "own.yaml").write_text(own)
    params = composition.write(tmp_path / "params.yaml", "own", conf=conf)
    assert (params.seed, params.validation.max_duplicate_share, params.evaluation.resamples) == (7, 0.42, 333)


def test_the_task_in_the_readme_is_one_whole_file(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    own = (ROOT / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    (conf / "task" / "letters.yaml").write_text(own)
    composition.write(tmp_path / "params.yaml", "letters", conf=conf)
    assert composition.compose("letters", (), conf)["source"] == yaml.safe_load(own)["source"]


def test_a_task_is_named_like_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.name is 'other'; it must be the name of its file, conf/task/digits"):
        composition.write(tmp_path / "params.yaml", "digits", ["task.name=other"], CONF)


def test_missing_params_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make params TASK=digits"):
        load(tmp_path / "params.yaml")


def test_a_later_override_replaces_an_earlier_one_of_the_same_key() -> None:
    assert composition.merged(["seed=1", "trainer.max_epochs=3"], ["seed=2"]) == ["seed=2", "trainer.max_epochs=3"]


def test_what_does_not_go_with_the_kind_of_task_is_named_all_at_once(params: Path) -> None:
    content = yaml.safe_load(params.read_text())
    content["traffic"]["scenario"] = "earthquake"
    content["drill"]["scenario"] = "none"
    with pytest.raises(ConfigError) as raised:
        parse(content, "params.yaml")
    message = str(raised.value)
    assert "2 mistakes" in message
    assert "traffic.scenario: earthquake does not go with task.kind images; allowed: none, noise, blur" in message
    assert "drill.scenario: none does not go with task.kind images; allowed: noise" in message


def test_an_unknown_key_of_the_chosen_augmentation_is_told_its_own_keys(params: Path) -> None:
    content = yaml.safe_load(params.read_text())
    content["augmentation"]["rotate"] = 3
    with pytest.raises(ConfigError, match=r"augmentation\.rotate: unknown key; allowed here: name, rotation_degrees"):
        parse(content, "params.yaml")
    content["augmentation"] = {"name": "mirror"}
    with pytest.raises(ConfigError, match=r"augmentation\.name: must be one of none, affine, .*found 'mirror'"):
        parse(content, "params.yaml")


def test_too_few_labels_for_a_proof_are_a_mistake() -> None:
    content = composition.compose("digits", ["retraining.min_labels=100"], CONF)
    with pytest.raises(ConfigError, match=r"retraining\.min_labels: 100 labels leave about 40 test examples"):
        parse(content, "conf")


@pytest.mark.parametrize("key", ["traffic.source=log", "log.inputs=omit", "log.pseudonymised=[seed]"])
def test_the_log_of_a_generator_is_neither_watched_nor_cut(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=key.partition("=")[0]) as told:
        composition.write(tmp_path / "params.yaml", "digits_gan", [key], CONF)
    assert "does not go with task.target image" in str(told.value)


def test_a_gate_of_another_target_is_named_and_not_the_keys_that_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        composition.write(tmp_path / "params.yaml", "digits_gan", ["gate=action", "seed=-1"], CONF)
    assert "gate.target: action does not go with task.target image; choose gate=image" in str(told.value)
    assert "seed: " in str(told.value) and "unknown key" not in str(told.value)


def test_an_unknown_kind_of_task_is_told_the_known_ones(params: Path) -> None:
    content = yaml.safe_load(params.read_text())
    content["task"]["kind"] = "smells"
    with pytest.raises(ConfigError, match=r"task\.kind: must be one of images"):
        parse(content, "params.yaml")
