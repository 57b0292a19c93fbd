"""The evaluation of a policy: what episodes bring in that it plays to their end."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Evaluation
from closedloop.evaluation.figures import BLUE, GREY, ORANGE, page
from closedloop.evaluation.intervals import Interval, wilson
from closedloop.evaluation.outcome_report import mean
from closedloop.evaluation.outcomes import RETURN, Outcomes
from closedloop.serving.predictor import Predictor
from closedloop.tasks.control.cartpole import LIMIT, OBSERVATION, Played, play, with_columns
from closedloop.tasks.control.request import INPUT

SHOWN = 5  # episodes that are drawn


def played(predictor: Predictor, episodes: pa.Table, seed: int) -> Played:
    """Play each of the episodes to its end with the action of the largest share; `seed` draws what is looked at."""
    step = predictor.stepping()

    def policy(observations: NDArray[np.float32]) -> NDArray[np.intp]:
        chosen: NDArray[np.intp] = step({INPUT: observations})["answers"].argmax(axis=1)
        return chosen

    return play(policy, episodes, seed, SHOWN)


def judged(predictor: Predictor, episodes: pa.Table, seed: int) -> Outcomes:
    found = played(predictor, episodes, seed)
    return Outcomes.of(episodes, found.returns, RETURN, found)


def visited(predictor: Predictor, episodes: pa.Table, seed: int) -> pa.Table:
    """One observation of each episode, drawn from all that the policy comes through, and the return of the episode.

    One alone: neighbours have much in common, and tests of drift take rows for independent.
    """
    found = played(predictor, episodes, seed)
    seen = with_columns(episodes, {name: found.visited[:, place] for place, name in enumerate(OBSERVATION)})
    return seen.append_column(RETURN, pa.array(found.returns))


def headline(found: Outcomes, config: Evaluation) -> dict[str, Interval]:
    """The return of an episode, and the share of episodes that reach the longest one, each with its interval."""
    whole = found.values >= LIMIT
    low, high = wilson(whole.sum(), len(whole), config.confidence)
    return {
        RETURN: mean(found, config),
        "whole_episodes": Interval(float(whole.mean()), float(low), float(high), "Wilson score"),
    }


def returns(found: Outcomes, report: dict[str, Any], path: Path) -> None:
    """How many episodes have brought in how much, beside the mean of the rule by hand."""
    simple = report["baseline"]
    subtitle = (
        f"{len(found.ids):,} episodes, mean {report['metrics'][RETURN]['value']:.1f} of {LIMIT}; orange: the mean of "
        f"{simple['name']}, {simple['metrics'][RETURN]['value']:.1f}"
    )
    with page(path, 8, 4, "Return of the test episodes", subtitle) as figure:
        axes = figure.subplots()
        axes.hist(found.values, bins=np.linspace(0, LIMIT, 51).tolist(), color=BLUE)
        axes.axvline(simple["metrics"][RETURN]["value"], color=ORANGE, linewidth=1.5)
        axes.set(xlabel="return", ylabel="episodes", xlim=(0, LIMIT * 1.01))
        axes.grid(True)


def paths(found: Outcomes, path: Path) -> None:
    """How the first episodes went: where the cart was, and how the pole stood."""
    with page(path, 10, 4.4, "The first test episodes", "an episode a line; grey: where one ends") as figure:
        for axes, place, name, bound in zip(
            figure.subplots(1, 2), (0, 2), ("cart position (m)", "pole angle (rad)"), (2.4, 0.2095), strict=True
        ):
            axes.plot(found.evidence.path[:, :, place], linewidth=1)
            for end in (-bound, bound):
                axes.axhline(end, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            axes.set(xlabel="step", title=name)
            axes.grid(True)
