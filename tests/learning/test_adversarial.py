"""Learning to make images: what is served makes what torch makes, and a kill changes nothing."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from test_training import digits

from closedloop.evaluation import likeness
from closedloop.learning import training
from closedloop.learning.adversarial import GeneratorServed, energy_scores
from closedloop.learning.export import answers, export_onnx
from closedloop.learning.record import Nowhere
from closedloop.networks.gan import GAN
from closedloop.networks.schema import GAN as Config

SMALL = Config(name="gan", generator=[8, 6, 4], discriminator=[4, 6])


@pytest.mark.parametrize("image", [(1, 8, 8), (1, 28, 28), (3, 10, 13)])
def test_the_exported_model_makes_and_judges_as_torch_does(image: tuple[int, int, int], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GAN(SMALL, 5, image).eval()
    served = GeneratorServed(network)
    inputs = {"inputs": torch.rand(4, *image) * 2 - 1}
    export_onnx(served, inputs, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for real, noise in ((4, 0), (0, 3), (2, 5), (1, 1)):
        fed = inputs["inputs"][:real], torch.randn(noise, 5)
        told, made = session.run(["answers", "made"], {"inputs": fed[0].numpy(), "noise": fed[1].numpy()})
        assert made.shape == (noise, *image)
        assert told.shape == (real + noise, 1)
        with torch.no_grad():
            wanted = network.averaged(fed[1])
        np.testing.assert_allclose(made, wanted, atol=1e-5)
        np.testing.assert_allclose(told[:real], answers(served, {"inputs": inputs["inputs"][:real]})[:real], atol=1e-5)


class Seen(Nowhere):
    """Keeps the pictures, and fails in the second epoch where it is to."""

    def __init__(self, *, killed: bool = False) -> None:
        self.pictures: list[np.ndarray] = []
        self.killed = killed

    def log(self, metrics: dict[str, float], step: int) -> None:  # noqa: ARG002
        if self.killed and step == 2:
            raise RuntimeError("killed")

    def show(self, name: str, picture: np.ndarray, step: int) -> None:  # noqa: ARG002
        self.pictures.append(picture)


GAN_OF_DIGITS = (
    "task.target=image",
    "+evaluation.judge=digits",
    "task.classes=[]",
    "gate=image",
    "preprocess=noise",
    "model=gan",
    "model.generator=[8,6,4]",
    "model.discriminator=[4,6]",
    "augmentation=none",
    "trainer.max_epochs=3",
)


def test_a_killed_run_goes_on_to_the_result_of_an_undisturbed_one(tmp_path: Path) -> None:
    def train(name: str, record: Seen) -> training.Training:
        params, paths = prepared[name]
        training.save_session(training.open_session(params, paths), paths)
        return training.fit(params, paths, record)

    prepared = {name: digits(tmp_path / name, *GAN_OF_DIGITS, short=()) for name in ("undisturbed", "killed")}
    seen = Seen()
    undisturbed = train("undisturbed", seen)
    with pytest.raises(RuntimeError, match="killed"):
        train("killed", Seen(killed=True))
    resumed = train("killed", Seen())
    assert resumed.history == undisturbed.history
    for name, weights in resumed.network.state_dict().items():
        assert torch.equal(weights, undisturbed.network.state_dict()[name]), name
    assert [picture.shape for picture in seen.pictures] == [(71, 71)] * 3  # 8 by 8 images an epoch, lines between them
    assert not np.array_equal(seen.pictures[0], seen.pictures[2])


def test_epochs_are_judged_by_the_score_that_models_are() -> None:
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(30, 4)), rng.normal(size=(40, 4))
    found = energy_scores(torch.from_numpy(real), torch.from_numpy(made))
    np.testing.assert_allclose(found, likeness.energy_scores(real, made)[0], rtol=1e-6)


def test_the_mean_of_the_weights_follows_them() -> None:
    network = GAN(SMALL, 5, (1, 8, 8))
    with torch.no_grad():
        network.generator.project.weight.fill_(1.0)
    for step in range(3000):
        network.average(step)
    torch.testing.assert_close(network.averaged.project.weight, network.generator.project.weight, atol=0.06, rtol=0)
