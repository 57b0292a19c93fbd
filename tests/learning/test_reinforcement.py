"""Learning what to do: each algorithm gets better, survives a kill, and estimates advantages as the papers have it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.data.examples import read_examples
from closedloop.evaluation.control import played
from closedloop.learning import influences, precision, training
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


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("reinforce", ("trainer.max_epochs=3",)),
        ("actor_critic", ("trainer.max_epochs=3",)),
        ("dqn", ("trainer.max_epochs=1", "optimizer.lr=0.003", "model.follow=0.05")),
    ],
)
def test_what_is_learnt_holds_the_pole_for_longer(tmp_path: Path, algorithm: str, settings: tuple[str, ...]) -> None:
    params, paths = project(tmp_path, f"model={algorithm}", *settings)
    found = train(params, paths, Nowhere())
    assert found.best["val/return"] > 3 * found.history[0]["train/return"]
    assert found.best["val/loss"] == pytest.approx(1 - found.best["val/return"] / LIMIT)


@pytest.mark.parametrize("algorithm", ["dqn", "actor_critic"])
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


def test_weights_depend_on_the_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    shutil.copytree(influences.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(influences, "PACKAGE", package)
    params, paths = project(tmp_path)
    before = influences.influences(params, paths)
    simulator = package / "tasks/control/cartpole.py"
    simulator.write_text(simulator.read_text().replace("LIMIT = 500", "LIMIT = 50"))
    assert influences.influences(params, paths) != before
    assert "src/closedloop/tasks/control/cartpole.py" in (CONF.parent / "dvc.yaml").read_text()


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
    """Of four epochs' curiosity, with a memory of 100 steps."""
    learning = ("model.batch=8", "model.discount=0.9", "model.follow=0.25", "model.memory=100")
    curious = ("trainer.max_epochs=10", "model.curious_share=0.4", "model.curiosity=0.1")
    params, _ = project(tmp_path, "model=dqn", *learning, *curious)
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


def valued(policy: Policy, left: float, right: float) -> None:
    """Make it expect these returns of the two actions, whatever it sees."""
    last = policy.choose[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([left, right]) / policy.unit)


@pytest.mark.parametrize(
    ("action", "fell", "error"),
    [
        (0, 0, 1 - (1 + 0.9 * 3)),  # what follows is worth 3 to the slow copy: its 5 are of an action not taken
        (1, 0, 2 - (1 + 0.9 * 3)),
        (0, 1, 1 - 1),  # nothing follows a fall
        (1, 1, 2 - 1),
    ],
)
def test_a_step_is_worth_itself_and_what_the_slow_copy_says_of_the_next_action(
    memorist: QLearning, action: int, fell: int, error: float
) -> None:
    valued(memorist._policy, 1, 2)
    valued(memorist._slow, 5, 3)
    memorist._memory["action"][0], memorist._memory["fell"][0] = action, fell
    memorist._filled = 1
    assert memorist._loss().item() == pytest.approx((error / memorist._policy.unit) ** 2, rel=1e-5)


def test_a_fall_is_remembered_as_one_and_the_limit_is_not(memorist: QLearning) -> None:
    start = np.array([[0, 0, 0, 0], [0, 0, 0.2, 3.0], [0.1, 0, 0, 0]])  # the second one falls at once
    poles = CartPoles(start, np.full(3, 9.8), np.full(3, 0.5))
    poles.returns[:2] = LIMIT - 1
    size = memorist._filled = 100
    memorist._filled -= 1  # the oldest ones are overwritten
    assert memorist._config.memory == size
    memorist._act(poles)
    kept = {name: values[[99, 0, 1]].numpy() for name, values in memorist._memory.items()}
    np.testing.assert_array_equal(kept["fell"], [0, 1, 0])
    np.testing.assert_array_equal(kept["seen"], start.astype(np.float32))
    np.testing.assert_array_equal(kept["next"], poles.observations)
    np.testing.assert_array_equal(kept["action"], poles.observations[:, 1] > 0)  # pushed to the right
    assert memorist._filled == 102
    memorist._act(poles)
    assert memorist._filled == 103  # of the one episode that goes on


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (1, 0.75), (3, 0.25), (4, 0.1), (9, 0.1)])
def test_fewer_actions_are_drawn_from_epoch_to_epoch(
    memorist: QLearning, monkeypatch: pytest.MonkeyPatch, epoch: int, share: float
) -> None:
    monkeypatch.setattr(QLearning, "current_epoch", epoch)
    assert memorist._curiosity == pytest.approx(share)
    torch.manual_seed(0)
    valued(memorist._policy, 1, 2)
    poles = upright(100)
    memorist._act(poles)
    assert (poles.observations[:, 1] < 0).mean() == pytest.approx(share / 2, abs=0.1)  # half of the drawn ones


def test_the_slow_copy_follows_by_its_share(memorist: QLearning, monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, slow in zip(memorist._policy.parameters(), memorist._slow.parameters(), strict=True):
        assert torch.equal(fast, slow) and fast is not slow and not slow.requires_grad
        torch.nn.init.ones_(fast)
        torch.nn.init.zeros_(slow)
    monkeypatch.setattr(memorist, "_step", lambda loss: loss)
    memorist._filled = 8
    poles = upright(1)
    poles.returns += LIMIT - 2
    memorist._learn(poles)  # two steps
    for slow in memorist._slow.parameters():
        torch.testing.assert_close(slow, torch.full_like(slow, 1 - 0.75**2))
