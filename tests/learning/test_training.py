"""Training to the end, whatever happens on the way."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.data.idx import write_idx
from closedloop.data.tensors import read_tensors, write_tensors
from closedloop.errors import ConfigError, TrainingError
from closedloop.learning import training
from closedloop.learning.precision import resolve_precision
from closedloop.learning.record import Nowhere
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess

CONF = Path(__file__).parents[2] / "conf"
SHORT = ("trainer.max_epochs=4", "model.filters=[8,8]", "model.dense=[16]")


def digits(root: Path, *overrides: str, short: tuple[str, ...] = SHORT) -> tuple[Params, Paths]:
    """A preprocessed digits project."""
    params = parse(composition.compose("digits", [*short, *overrides], CONF), "test")
    paths = Paths("digits", root)
    bunch = load_digits()
    write_idx(paths.raw / "images.idx", bunch.images.astype(np.uint8))
    write_idx(paths.raw / "labels.idx", bunch.target.astype(np.uint8))
    preprocess(params, paths)
    return params, paths


def train(params: Params, paths: Paths, stop_at: int = 0) -> training.Training:
    """Train; a failure in epoch `stop_at` stands for a kill."""

    class Killed(Nowhere):
        def log(self, metrics: dict[str, float], step: int) -> None:  # noqa: ARG002
            if step == stop_at:
                raise RuntimeError("killed")

    training.save_session(training.open_session(params, paths), paths)
    return training.fit(params, paths, Killed())


class Counting(Nowhere):
    """Keeps the epochs that were trained."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def log(self, metrics: dict[str, float], step: int) -> None:  # noqa: ARG002
        self.epochs.append(step)


def weights(trained: training.Training) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seed_gives_the_same_files_bit_for_bit_and_another_seed_others(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        params, paths = digits(tmp_path / name, f"seed={seed}")
        training.save(train(params, paths), paths)
        files = ("weights.safetensors", "model.onnx", "golden.safetensors")
        contents.append([(paths.model / file).read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert contents[0][0] != contents[2][0]


@pytest.mark.parametrize("killed_in", [1, 3])
def test_a_killed_run_goes_on_to_the_result_of_an_undisturbed_one(tmp_path: Path, killed_in: int) -> None:
    params, paths = digits(tmp_path / "undisturbed")
    undisturbed = train(params, paths)
    params, paths = digits(tmp_path / "killed")
    with pytest.raises(RuntimeError, match="killed"):
        train(params, paths, stop_at=killed_in)
    counting = Counting()
    resumed = training.fit(params, paths, counting)
    assert counting.epochs == list(range(killed_in, 5))
    assert same(weights(resumed), weights(undisturbed))
    assert resumed.history == undisturbed.history
    assert resumed.best == undisturbed.best


def test_a_kill_between_the_last_epoch_and_the_outputs_trains_no_epoch_more(tmp_path: Path) -> None:
    params, paths = digits(tmp_path)
    first = train(params, paths)
    counting = Counting()
    again = training.fit(params, paths, counting)
    assert not counting.epochs
    assert same(weights(first), weights(again))
    assert first.history == again.history


def test_a_damaged_checkpoint_starts_the_training_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params, paths = digits(tmp_path)
    undisturbed = train(params, paths)
    training.close_session(paths)
    with pytest.raises(RuntimeError):
        train(params, paths, stop_at=3)
    (paths.unfinished / "last.ckpt").write_bytes(b"half a checkpoint")
    assert same(weights(train(params, paths)), weights(undisturbed))
    assert "damaged" in capsys.readouterr().out


def test_checkpoints_of_another_configuration_are_not_taken_up(tmp_path: Path) -> None:
    params, paths = digits(tmp_path)
    with pytest.raises(RuntimeError):
        train(params, paths, stop_at=2)
    session = training.open_session(params, paths)
    training.save_session({**session, "run_id": "kept"}, paths)
    assert training.open_session(params, paths)["run_id"] == "kept"
    other = params.model_copy(update={"seed": 5})
    assert training.open_session(other, paths)["run_id"] is None
    assert not (paths.unfinished / "last.ckpt").exists()


@pytest.mark.parametrize(("split", "name"), [("train", "train/loss"), ("validation", "val/loss")])
def test_a_loss_that_is_no_number_stops_with_the_knobs_to_turn(tmp_path: Path, split: str, name: str) -> None:
    params, paths = digits(tmp_path)
    poisoned = read_tensors(paths.tensors(split))
    poisoned["inputs"][3] = np.nan
    write_tensors(paths.tensors(split), [poisoned], len(poisoned["targets"]))
    with pytest.raises(TrainingError, match=rf"{name} became nan in epoch 1: lower optimizer\.lr \(now 0\.003\)"):
        train(params, paths)


def test_early_stopping_ends_after_its_patience(tmp_path: Path) -> None:
    params, paths = digits(
        tmp_path, "trainer.max_epochs=50", "trainer.early_stopping.patience=2", "trainer.early_stopping.min_delta=10"
    )
    assert len(train(params, paths).history) == 3  # the first epoch, and two that are not better by 10


def test_the_best_epoch_is_the_one_that_is_kept(tmp_path: Path) -> None:
    params, paths = digits(tmp_path, "trainer.max_epochs=6", "optimizer.lr=0.03")
    trained = train(params, paths)
    training.save(trained, paths)
    validation = read_tensors(paths.tensors("validation"))
    inputs = {"inputs": torch.from_numpy(validation["inputs"])}
    served = trained.learner.served(trained.network, inputs, torch.from_numpy(validation["targets"]))
    answers = training.answers(served, inputs).numpy()
    accuracy = (answers.argmax(axis=1) == validation["targets"]).mean()
    # the epoch's own figure was taken in bf16 where the hardware has it
    assert abs(accuracy - trained.best["val/accuracy"]) < 0.02
    assert trained.best["val/loss"] == min(row["val/loss"] for row in trained.history)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is present")
def test_asking_for_an_absent_gpu_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    params, paths = digits(tmp_path, "trainer.accelerator=gpu")
    with pytest.raises(ConfigError, match=r"torch sees no CUDA device; set it to auto or cpu"):
        train(params, paths)


def test_precision_is_what_was_asked_for_and_auto_asks_the_hardware() -> None:
    assert resolve_precision("32", "cpu") == "32-true"
    assert resolve_precision("bf16", "cpu") == "bf16-mixed"
    has_bf16 = torch.cpu.get_capabilities().get("avx512_bf16")
    assert resolve_precision("auto", "cpu") == ("bf16-mixed" if has_bf16 else "32-true")


@pytest.mark.gpu
def test_training_on_a_gpu_keeps_the_data_there_and_learns(tmp_path: Path) -> None:
    params, paths = digits(tmp_path, "trainer.max_epochs=20")
    trained = train(params, paths)
    assert trained.facts["device"] == "cuda"
    assert trained.best["val/accuracy"] > 0.9
