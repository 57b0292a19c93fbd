"""Learning what to do: each algorithm gets better, survives a kill, and estimates advantages as the papers have it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.data.examples import read_examples
from closedloop.evaluation.control import played
from closedloop.learning import precision, training
from closedloop.learning.record import Nowhere
from closedloop.learning.reinforcement import PolicyGradient, QLearning
from closedloop.networks.policy import Policy
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.serving.predictor import Predictor
from closedloop.sources.embedded import write_embedded
from closedloop.tasks.control.cartpole import LIMIT, CartPoles

CONF = Path(__file__).parents[2] / "conf"
SHORT = ("source.format.count=200", "preprocess.validation_share=0.1", "trainer.max_epochs=3", "trainer.batch_size=16")
ALGORITHMS = ("dqn", "reinforce", "actor_critic")


def project(root: Path, *overrides: str) -> tuple[Params, Paths]:
    params = parse(composition.compose("cartpole", [*SHORT, *overrides], CONF), "test")
    paths = Paths("cartpole", root)
    paths.raw.mkdir(parents=True)
    write_embedded(paths.raw, params.source.format)
    preprocess(params, paths)
    return params, paths


class Killed(Nowhere):
    """A failure in an epoch stands for a kill."""

    def log(self, metrics: dict[str, float], step: int) -> None:  # noqa: ARG002
        if step == 2:
            raise RuntimeError("killed")


def train(params: Params, paths: Paths, record: Nowhere) -> training.Training:
    training.save_session(training.open_session(params, paths), paths)
    return training.fit(params, paths, record)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_killed_run_goes_on_to_the_result_of_an_undisturbed_one(tmp_path: Path, algorithm: str) -> None:
    undisturbed = train(*project(tmp_path / "undisturbed", f"model={algorithm}"), Nowhere())
    params, paths = project(tmp_path / "killed", f"model={algorithm}")
    with pytest.raises(RuntimeError, match="killed"):
        train(params, paths, Killed())
    resumed = train(params, paths, Nowhere())
    assert resumed.history == undisturbed.history
    for name, weights in resumed.network.state_dict().items():
        assert torch.equal(weights, undisturbed.network.state_dict()[name]), name
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]


def test_what_is_learnt_holds_the_pole_for_longer(tmp_path: Path) -> None:
    params, paths = project(tmp_path, "model=reinforce", "trainer.max_epochs=6")
    found = train(params, paths, Nowhere())
    assert found.best["val/return"] > 2 * found.history[0]["train/return"]
    assert found.best["val/loss"] == pytest.approx(1 - found.best["val/return"] / LIMIT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_policy_that_is_judged_is_the_one_that_is_served(
    tmp_path: Path, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where bf16 is to be had: values of 64 to 128 are 0.5 apart in it."""
    monkeypatch.setattr(precision, "_has_bf16", lambda _: True)
    params, paths = project(tmp_path, f"model={algorithm}")
    found = train(params, paths, Nowhere())
    training.save(found, paths)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    judged = played(predictor, read_examples(paths.examples("validation")), seed=0)
    assert judged.returns.mean() == pytest.approx(found.best["val/return"])
    assert found.facts["precision"] == "32-true"


@pytest.fixture
def learner(tmp_path: Path) -> PolicyGradient:
    params, _ = project(tmp_path, "model=actor_critic", "model.discount=0.9", "model.smoothing=0.8")
    network = Policy(params.model, (1.0, 1.0, 1.0, 1.0), 2)  # type: ignore[arg-type]
    return PolicyGradient(network, params, Nowhere())


def test_advantages_are_those_of_their_definition(learner: PolicyGradient) -> None:
    """Schulman et al. (2016), equation 16, term by term; one episode falls, one is cut off, one goes on."""
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(6, 3))).float()
    alive, fallen = torch.ones(5, 3, dtype=torch.bool), torch.zeros(5, 3, dtype=torch.bool)
    fallen[2, 0] = True  # the first one falls in its third step
    alive[3:, 0] = False
    alive[4:, 1] = False  # the second one is at its limit after four
    found = learner._advantages(values, alive, fallen)
    for episode, last in ((0, 3), (1, 4), (2, 5)):
        for step in range(last):
            wanted, factor = 0.0, 1.0
            for later in range(step, last):
                after = 0.0 if fallen[later, episode] else float(values[later + 1, episode])
                wanted += factor * (1 + 0.9 * after - float(values[later, episode]))
                factor *= 0.9 * 0.8
            assert float(found[step, episode]) == pytest.approx(wanted, abs=1e-5)


def test_a_single_step_teaches_without_a_deviation(learner: PolicyGradient) -> None:
    """One advantage has no deviation: it became no number, and so did the weights."""
    one = torch.ones(1, 1, dtype=torch.bool)
    loss = learner._loss(torch.zeros(1, 1, 4), torch.zeros(1, 1), one, one, torch.zeros(1, 4))
    assert torch.isfinite(loss)


@pytest.fixture
def memorist(tmp_path: Path) -> QLearning:
    params, _ = project(tmp_path, "model=dqn", "model.batch=8", "model.discount=0.9", "model.follow=0.25")
    return QLearning(Policy(params.model, (1.0, 1.0, 1.0, 1.0), 2), params, Nowhere())  # type: ignore[arg-type]


def upright(count: int) -> CartPoles:
    return CartPoles(np.zeros((count, 4)), np.full(count, 9.8), np.full(count, 0.5))


@pytest.mark.parametrize(("losses", "mean"), [([2.0, 4.0], 3.0), ([], 0.0)])
def test_the_loss_of_a_batch_is_the_mean_of_its_steps(
    memorist: QLearning, monkeypatch: pytest.MonkeyPatch, losses: list[float], mean: float
) -> None:
    """On the device of the network: `meta` refuses a value of the CPU beside its own, as a GPU does."""

    def act(poles: CartPoles) -> None:
        memorist._filled = 8 if losses else 0
        poles.returns += 1
        poles.alive &= poles.returns < 2

    monkeypatch.setattr(memorist, "_act", act)
    monkeypatch.setattr(
        memorist, "_loss", lambda: torch.tensor(losses[int(poles.returns[0]) - 1], device=memorist.device)
    )
    monkeypatch.setattr(memorist, "_step", lambda loss: loss)
    poles = upright(1)
    assert float(memorist._learn(poles)) == mean
    poles = upright(1)
    memorist.to("meta")
    assert memorist._learn(poles).device.type == "meta"
