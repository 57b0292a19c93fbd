"""From a trained model to a champion: the gate, the receipt, and a registry that is lost, locked or tampered with."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest

from closedloop.config import Params
from closedloop.data.examples import read_examples
from closedloop.errors import ConfigError, RegistryError, StoreUnanswered
from closedloop.files import read_json, write_json
from closedloop.paths import Paths
from closedloop.receipt import current_receipt
from closedloop.registration import register
from closedloop.registry import aliases, store
from closedloop.registry.listing import list_versions
from closedloop.registry.quick_look import quick_look
from closedloop.serving.predictor import Predictor

PATHS = Paths("digits")
LOW_FLOORS = {"min_accuracy": 0.05, "min_macro_f1": 0.0, "min_class_recall": 0.0, "max_calibration_error": 1.0}
HOUR = 3_600_000  # milliseconds


@pytest.mark.usefixtures("project")
def test_the_first_model_that_meets_the_floors_becomes_champion(params: Params) -> None:
    receipt = register(params, PATHS)
    assert (receipt["version"], receipt["champion"], receipt["verdict"]) == (1, 1, "promoted")
    champion = aliases.load_champion(params)
    test = read_examples(PATHS.examples("test"))
    local = Predictor.load(PATHS.model / "model.onnx", PATHS.preprocessor)
    assert np.array_equal(champion.predictor.answers(test), local.answers(test))
    assert read_json(PATHS.report("registration.json")) == receipt
    assert current_receipt(params, PATHS) == receipt
    listed = list_versions(params)
    assert "champion" in listed and "accuracy 0." in listed


@pytest.mark.usefixtures("project")
def test_a_first_model_below_a_floor_is_registered_but_not_promoted(params_with: Callable[..., Params]) -> None:
    strict = params_with(gate={"max_calibration_error": 0.0})
    receipt = register(strict, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == ("refused", None)
    assert "gate.max_calibration_error" in receipt["reasons"][0]
    with pytest.raises(RegistryError, match="there is no champion of digits"):
        aliases.load_champion(strict)


def test_a_worse_model_is_refused_and_a_better_one_promoted(
    use_model: Callable[[str], None], use_champion: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    use_model("good")
    better = register(params, PATHS)
    assert (better["version"], better["champion"], better["verdict"]) == (2, 2, "promoted")
    assert better["comparison"]["low"] > 0
    use_model("bad")
    worse = register(params, PATHS)
    assert (worse["version"], worse["champion"], worse["verdict"]) == (1, 2, "refused")


def test_registering_the_same_model_again_makes_no_second_version(
    params: Params, use_champion: Callable[[str], None]
) -> None:
    use_champion("good")
    PATHS.report("registration.json").write_text('{"half')  # damaged: counts as none, like one that a kill prevented
    assert current_receipt(params, PATHS) is None
    again = register(params, PATHS)
    # the same receipt as if nothing had happened
    assert (again["version"], again["champion"], again["verdict"]) == (1, 1, "promoted")
    assert again["reasons"] == ["the first champion: every floor is met"]
    assert len(aliases.versions(store.connect(params), "digits")) == 1


def test_a_store_that_does_not_answer_is_not_taken_for_one_that_has_lost_the_version(
    params: Params, use_champion: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_arguments: object) -> None:
        raise StoreUnanswered("the MLflow store does not answer")

    use_champion("good")
    monkeypatch.setattr("closedloop.registration.load_version", silent)
    with pytest.raises(StoreUnanswered):
        register(params, PATHS)
    assert len(aliases.versions(store.connect(params), "digits")) == 1


def test_a_lost_alias_or_version_is_noticed_and_mended(params: Params, use_champion: Callable[[str], None]) -> None:
    def lose_alias() -> None:
        store.connect(params).delete_registered_model_alias("digits", "champion")

    def lose_version() -> None:
        store.connect(params).delete_model_version("digits", "1")

    use_champion("good")
    for lose in (lose_alias, lose_version):
        lose()
        assert current_receipt(params, PATHS) is None
        receipt = register(params, PATHS)
        assert receipt["champion"] == receipt["version"] == aliases.load_champion(params).version
        assert current_receipt(params, PATHS) == receipt


def test_rollback_returns_step_by_step_and_the_receipt_follows(
    use_model: Callable[[str], None], use_champion: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    with pytest.raises(RegistryError, match="no earlier champion"):
        aliases.rollback(params)
    use_model("good")
    register(params, PATHS)
    assert aliases.rollback(params).version == 1
    receipt = current_receipt(params, PATHS)
    assert receipt is not None and receipt["champion"] == 1  # and the pipeline does not promote version 2 again
    with pytest.raises(RegistryError, match="no earlier champion"):
        aliases.rollback(params)
    assert aliases.promote(params, 2).version == 2
    assert "promoted by hand; the gate:" in list_versions(params)
    with pytest.raises(ConfigError, match="version 2 of digits is the champion already"):
        aliases.promote(params, 2)
    assert aliases.rollback(params).version == 1


def test_a_version_that_a_person_took_back_is_not_promoted_by_the_gate(
    use_model: Callable[[str], None], use_champion: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    use_model("good")
    register(params, PATHS)
    aliases.rollback(params)
    asked_again = params_with(gate={**LOW_FLOORS, "max_size_mb": 40})
    receipt = register(asked_again, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == ("refused", 1)
    assert "rolled back by hand; `make promote VERSION=2`" in receipt["reasons"][0]


def test_a_lost_alias_does_not_make_the_next_model_the_first(
    use_model: Callable[[str], None], use_champion: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("good")
    use_model("bad")
    assert register(params, PATHS)["verdict"] == "refused"
    store.connect(params).delete_registered_model_alias("digits", "champion")
    receipt = register(params, PATHS)
    assert (receipt["version"], receipt["champion"], receipt["verdict"]) == (2, 1, "refused")


def test_a_champion_trained_on_other_splits_is_not_compared_on_what_it_may_have_learnt(
    use_model: Callable[[str], None], use_champion: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    store.connect(params).set_model_version_tag("digits", "1", "test_parts", json.dumps({"all": "another"}))
    use_model("good")
    receipt = register(params, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == ("refused", 1)
    assert "trained on other splits" in receipt["reasons"][0]


def test_rollback_undoes_move_after_move() -> None:
    def after(*steps: tuple[int, str]) -> list[aliases.Move]:
        return [aliases.Move(version, "", reason) for version, reason in steps]

    known = {1, 2, 3}
    history = after((1, ""), (2, ""), (1, "promoted by hand"), (3, ""))
    assert aliases.predecessor(history, 3, known) == 1
    history += after((1, "rolled back from version 3"))
    assert aliases.predecessor(history, 1, known) == 2
    history += after((2, "rolled back from version 1"))
    assert aliases.predecessor(history, 2, known) == 1
    assert aliases.predecessor(after((1, ""), (2, ""), (2, "")), 2, known) == 1
    assert aliases.predecessor(after((1, ""), (2, ""), (3, "")), 3, {1, 3}) == 1
    assert aliases.predecessor([], None, set()) is None


def test_promoting_an_unknown_version_lists_the_known_ones(params: Params, use_champion: Callable[[str], None]) -> None:
    use_champion("good")
    with pytest.raises(ConfigError, match="digits has no version 7; registered: 1"):
        aliases.promote(params, 7)


def test_the_quick_look_agrees_with_the_client(project: Path, params: Params) -> None:
    assert quick_look(params, 1, "") == (False, None)
    digest = register(params, PATHS)["digests"]["model"]
    client = store.connect(params)
    assert quick_look(params, 1, digest) == (True, aliases.champion_version(client, "digits"))
    assert quick_look(params, 2, digest) == (False, 1)
    assert quick_look(params, 1, "of another model") == (False, 1)
    client.delete_registered_model_alias("digits", "champion")
    assert quick_look(params, 1, digest) == (True, None)
    for folder in project.glob("mlartifacts/digits/models/*"):
        folder.rename(folder.with_suffix(".moved"))
    assert quick_look(params, 1, digest) == (False, None)
    client.delete_model_version("digits", "1")
    (project / "mlflow.db").write_bytes(b"no database at all" * 50)
    assert quick_look(params, 1, digest) == (False, None)


def test_a_damaged_champion_keeps_its_place_and_the_reason_is_recorded(
    project: Path, use_model: Callable[[str], None], params_with: Callable[..., Params]
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_model("bad")
    register(params, PATHS)
    for file in project.glob("mlartifacts/**/model.onnx"):
        file.write_bytes(b"damaged")
    use_model("good")
    receipt = register(params, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == ("refused", 1)
    assert "it cannot be compared with" in receipt["reasons"][0]


@pytest.mark.usefixtures("project")
def test_an_onnx_model_that_answers_otherwise_than_torch_is_refused(params: Params) -> None:
    from safetensors.numpy import load_file, save_file

    golden = load_file(PATHS.model / "golden.safetensors")
    save_file({"answers": golden["answers"][:, ::-1].copy()}, PATHS.model / "golden.safetensors")
    receipt = register(params, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == ("refused", None)
    assert "gate.max_parity_error" in receipt["reasons"][0]


def test_nothing_in_the_packaged_model_is_pickled(registered_models: dict[str, Path]) -> None:
    files = [file for file in (registered_models["good"] / "mlartifacts").rglob("*") if file.is_file()]
    assert any(file.name == "model.onnx" for file in files)
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")]
    # a pickle of protocol 2 or later begins with 0x80 and its number
    assert not [file for file in files if file.read_bytes()[:1] == b"\x80"]


def test_the_model_answers_through_mlflow_as_well(params: Params, use_champion: Callable[[str], None]) -> None:
    use_champion("good")
    store.connect(params)
    model = mlflow.pyfunc.load_model("models:/digits@champion")
    example = model.input_example
    assert example is not None
    answers = model.predict(example)
    assert list(answers.columns) == ["class", "confidence", "probabilities"]
    assert model.metadata.signature.inputs.input_names() == ["image"]


def training_begun(params: Params, ago: int) -> None:
    """The trained model comes from a run that began so many milliseconds ago."""
    client = store.connect(params)
    experiment = client.get_experiment_by_name("digits").experiment_id
    run = client.create_run(experiment, start_time=int(time.time() * 1000) - ago)
    write_json(PATHS.run, {"run_id": run.info.run_id, "seconds": 1.0})


@pytest.mark.parametrize(("moved", "promoted"), [(aliases.BY_HAND, False), ("a gain of +0.1", True)])
def test_a_champion_chosen_by_hand_since_the_training_began_stays(
    use_model: Callable[[str], None],
    use_champion: Callable[[str], None],
    params_with: Callable[..., Params],
    moved: str,
    promoted: bool,
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    use_model("good")
    training_begun(params, HOUR)
    aliases.move_champion(store.connect(params), "digits", 1, moved)
    receipt = register(params, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == (("promoted", 2) if promoted else ("refused", 1))
    if not promoted:
        assert receipt["reasons"][0].startswith("version 1 was made champion by hand at 20")
        assert "`make promote VERSION=2` puts this version in its place" in receipt["reasons"][0]


def test_a_training_begun_after_the_choice_is_judged_by_the_gate(
    use_model: Callable[[str], None],
    use_champion: Callable[[str], None],
    params_with: Callable[..., Params],
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    aliases.move_champion(store.connect(params), "digits", 1, aliases.BY_HAND)
    use_model("good")
    training_begun(params, -HOUR)
    assert register(params, PATHS)["champion"] == 2
