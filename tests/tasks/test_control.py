"""Cart and pole: the dynamics are gymnasium's, episodes end where its own do, and requests are read as documented."""

import gymnasium
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.errors import ConfigError
from closedloop.tasks.base import BadRecord
from closedloop.tasks.control.cartpole import LIMIT, OBSERVATION, PHYSICS, CartPoles, by_hand, play, starts
from closedloop.tasks.control.request import ObservationPreprocessor
from closedloop.tasks.control.task import SCENARIOS, TASK
from closedloop.tasks.schema import KINDS


def episodes(count: int, gravity: float = 9.8, length: float = 0.5) -> pa.Table:
    start = starts(count, seed=0)
    columns = {name: start[:, place] for place, name in enumerate(OBSERVATION)}
    return pa.table({**columns, "gravity": [gravity] * count, "pole_length": [length] * count})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(9.8, 0.5), (20.0, 0.5), (9.8, 1.5)]))
def test_many_episodes_at_once_go_as_gymnasium_plays_each(seed: int, physics: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    start = rng.uniform(-0.05, 0.05, (3, 4))
    poles = CartPoles(start, *(np.full(3, value) for value in physics))
    alone = []
    for row in start:
        environment = gymnasium.make("CartPole-v1").unwrapped
        environment.reset(seed=0)
        environment.gravity, environment.length = physics
        environment.polemass_length = environment.masspole * environment.length
        environment.state = tuple(row)
        alone.append(environment)
    alive = np.ones(3, bool)
    for _ in range(60):
        actions = rng.integers(2, size=3)
        before = poles.observations.copy()
        poles.step(actions)
        for row, environment in enumerate(alone):
            if alive[row]:
                observation, _, terminated, _, _ = environment.step(int(actions[row]))
                np.testing.assert_allclose(poles.observations[row], observation, atol=1e-5)
                alive[row] = not terminated
            else:
                np.testing.assert_array_equal(poles.observations[row], before[row])
        np.testing.assert_array_equal(poles.alive, alive)
    np.testing.assert_array_equal(poles.fallen, ~alive)


def test_an_episode_ends_at_the_limit_and_one_that_falls_counts_its_steps() -> None:
    balanced = play(lambda seen: (seen @ [0.1, 0.3, 3, 1] > 0).astype(np.intp), episodes(5), seed=0)
    assert (balanced.returns == LIMIT).all()
    pushed = play(lambda seen: np.ones(len(seen), np.intp), episodes(20), seed=0)
    assert ((pushed.returns >= 8) & (pushed.returns <= 11)).all()  # gymnasium's for a constant push


def test_what_is_looked_at_is_drawn_from_the_whole_episode() -> None:
    """Each step of an episode is as probable as any other: for constant pushes the velocity tells the step."""
    found = play(lambda seen: np.ones(len(seen), np.intp), episodes(4000), seed=1)
    step = np.clip(np.round(found.visited[:, 1] / 0.195), 0, 9).astype(int)
    counts = np.bincount(step, minlength=10)[:8]
    assert counts.min() > 0.75 * counts.mean()
    assert counts.max() < 1.25 * counts.mean()


def test_the_rule_by_hand_is_a_strong_baseline() -> None:
    assert play(by_hand, episodes(100), seed=0).returns.mean() > 400


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_shift_changes_the_physics_and_nothing_else(scenario: str) -> None:
    rng, before = np.random.default_rng(0), episodes(5)
    factors = []
    for severity in range(1, 6):
        after = TASK.shift(before, scenario, severity, rng)
        for name in (*OBSERVATION, *PHYSICS):
            if name != scenario:
                assert after.column(name) == before.column(name)
        factors.append(after.column(scenario)[0].as_py() / before.column(scenario)[0].as_py())
    assert factors == sorted(factors)
    assert factors[0] > 1
    with pytest.raises(ConfigError, match="severity must be from 1 to 5"):
        TASK.shift(before, scenario, 6, rng)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_a_request_is_read_as_an_example_is(values: list[float]) -> None:
    preprocessor, record = ObservationPreprocessor(), dict(zip(OBSERVATION, values, strict=True))
    decoded = preprocessor.decode([record])
    np.testing.assert_array_equal(
        preprocessor.transform(decoded)["observation"], preprocessor.inputs([record])["observation"]
    )
    assert preprocessor.encode(decoded) == [record]


GOOD = dict.fromkeys(OBSERVATION, 0.1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({**GOOD, "pole_angle": "upright"}, "pole_angle"),
        ({**GOOD, "pole_angle": True}, "pole_angle"),
        ({**GOOD, "pole_angle": None}, "pole_angle"),
        ({**GOOD, "cart_velocity": float("nan")}, "cart_velocity"),
        ({**GOOD, "cart_velocity": float("inf")}, "cart_velocity"),
        ({**GOOD, "cart_velocity": 10**400}, "cart_velocity"),
        ({**GOOD, "wind": 1.0}, ""),
        ({"pole_angle": 0.1}, ""),
        ([0.1] * 4, ""),
    ],
)
def test_what_is_wrong_with_a_request_is_named(wrong: object, field: str) -> None:
    with pytest.raises(BadRecord) as told:
        ObservationPreprocessor().inputs([GOOD, wrong])  # type: ignore[list-item]
    assert (told.value.row, told.value.field) == (1, field)


def test_actions_push_to_where_their_names_say() -> None:
    pushed = dict.fromkeys(KINDS["control"].actions, 0.0)
    for action, name in enumerate(pushed):
        poles = CartPoles(np.zeros((1, 4)), np.full(1, 9.8), np.full(1, 0.5))
        poles.step(np.array([action]))
        pushed[name] = poles.observations[0, 1]  # the cart's velocity, to the right
    assert pushed.keys() == {"left", "right"}
    assert pushed["left"] < 0 < pushed["right"]
