"""Poles that are balanced on carts, many at a time: gymnasium's CartPole-v1, each with physics of its own.

Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control problems", 1983.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

OBSERVATION = ("cart_position", "cart_velocity", "pole_angle", "pole_velocity")  # m, m/s, rad, rad/s
PHYSICS = ("gravity", "pole_length")  # m/s², and half the length in m, as CartPole counts it
LIMIT = 500  # steps, after which an episode has succeeded
SCALE = (2.4, 3.0, 0.2095, 3.0)  # of an observation: where an episode ends, or what a velocity comes to
Floats = NDArray[np.float64]
Policy = Callable[[NDArray[np.float32]], NDArray[np.intp]]  # observations (N, 4) -> actions (N,)


def starts(count: int, seed: int) -> Floats:
    """Where so many episodes of CartPole-v1 begin, (count, 4)."""
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    observations, _ = CartPoleVectorEnv(count).reset(seed=seed)
    return observations.astype(np.float64)


class CartPoles:
    """Episodes in progress; those that have ended stand still."""

    def __init__(self, start: Floats, gravity: Floats, length: Floats) -> None:
        """`start` (N, 4), `gravity` and `length` (N,)."""
        from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

        self._env = cast("Any", CartPoleVectorEnv(len(start), max_episode_steps=LIMIT + 1))
        self._env.reset(seed=0)
        self._env.state = np.array(start.T)
        # arrays where gymnasium has numbers: its formulas work element by element
        self._env.gravity, self._env.length = gravity, length
        self._env.polemass_length = self._env.masspole * length
        self.observations = start.astype(np.float32)
        self.alive = np.ones(len(start), bool)
        self.fallen = np.zeros(len(start), bool)  # ended before the limit
        self.returns = np.zeros(len(start))

    def step(self, actions: NDArray[np.intp]) -> None:
        """Push each cart to the left (0) or right (1)."""
        observations, _, terminated, _, _ = self._env.step(actions.astype(np.int64))
        self.observations = np.where(self.alive[:, None], observations, self.observations)
        self.returns += self.alive
        self.fallen |= terminated & self.alive
        self.alive &= ~terminated & (self.returns < LIMIT)


@dataclass(frozen=True)
class Played:
    """Episodes that have come to their end."""

    returns: Floats  # (N,)
    visited: NDArray[np.float32]  # (N, 4): an observation of each, drawn from all that it has come through
    path: NDArray[np.float32]  # (steps, shown, 4): all observations of the first ones


def play(policy: Policy, episodes: "pa.Table", seed: int, shown: int = 0) -> Played:
    """Play each episode to its end; the observation that is kept of each is drawn with the seed (Vitter, 1985)."""
    start = np.stack([episodes.column(name).to_numpy() for name in OBSERVATION], axis=1)
    poles = CartPoles(start, *(episodes.column(name).to_numpy() for name in PHYSICS))
    rng, visited, path = np.random.default_rng(seed), poles.observations.copy(), []
    while poles.alive.any():
        kept = poles.alive & (rng.random(len(start)) * (poles.returns + 1) < 1)
        visited[kept] = poles.observations[kept]
        path.append(np.where(poles.alive[:shown, None], poles.observations[:shown], np.float32(np.nan)))
        poles.step(policy(poles.observations))
    return Played(poles.returns, visited, np.array(path, np.float32).reshape(len(path), shown, len(OBSERVATION)))


def by_hand(observations: NDArray[np.float32]) -> NDArray[np.intp]:
    """The rule that people come up with: push to the side to which the pole falls."""
    return (observations[:, 2] + observations[:, 3] > 0).astype(np.intp)


def with_columns(examples: "pa.Table", columns: dict[str, NDArray[np.floating]]) -> "pa.Table":
    """The same examples with other numbers in some columns."""
    import pyarrow as pa

    for name, values in columns.items():
        place = examples.schema.get_field_index(name)
        examples = examples.set_column(place, name, pa.array(np.asarray(values, np.float64)))
    return examples
