"""What a search has gained: the best values and the configured ones, trained again with seeds that chose nothing.

The best trial's own score is too good: of many trials the luckiest wins. The repeated ones are free of that luck of the
seed, though not of that of the validation examples, on which the search has chosen; for that there is the test split.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from closedloop.config import Params
from closedloop.registry.runs import Run
from closedloop.registry.trials import SearchRuns
from closedloop.tuning.pool import Pool
from closedloop.tuning.space import Values, configured, with_values
from closedloop.tuning.study import Search
from closedloop.tuning.worker import Epoch, Metrics, Outcome, Work

BEST, CONFIGURED = "best values", "configured values"
LESS_IS_BETTER = ("loss", "error", "rmse", "mae")


@dataclass(frozen=True)
class Gain:
    """The mean difference of a metric between the best and the configured values; above 0: the best are better."""

    metric: str
    seeds: int
    best: float  # means over the seeds
    configured: float
    gain: float
    low: float
    high: float
    confidence: float


class Repeats:
    """Trainings of two sets of values with tune.repeats seeds each; what an earlier run has trained is not repeated."""

    def __init__(self, search: Search, runs: SearchRuns, params: Params, best: Values) -> None:
        self._study, self._runs, self._params = search.study, runs, params
        own = configured(params)
        self._values = {BEST: best, CONFIGURED: {key: own[key] for key in best}}
        self._seeds = range(params.seed + 1, params.seed + 1 + params.tune.repeats)
        self._running: dict[str, Run] = {}
        self._bar: tqdm[Any]

    def run(self, pool: Pool) -> list[tuple[Metrics, Metrics]]:
        """The metrics of the kept epochs, (best, configured) for each seed with which both trainings came to an end."""
        missing = [
            (label, seed) for seed in self._seeds for label in self._values if self._key(label, seed) not in self._known
        ]
        if missing:
            print(f"the best and the configured values again, with {len(self._seeds)} other seeds each", flush=True)
            with tqdm(total=len(missing), desc="repeat", unit="training", disable=None) as self._bar:
                try:
                    works = (self._begin(label, seed) for label, seed in missing)
                    pool.run(works, self._on_epoch, self._on_end, self._bar.refresh)
                finally:
                    for run in self._running.values():
                        self._runs.end(run, "interrupted")
        found = [[self._known[self._key(label, seed)]["best"] for label in (BEST, CONFIGURED)] for seed in self._seeds]
        return [(best, own) for best, own in found if best and own]

    @property
    def _known(self) -> Mapping[str, Any]:
        return self._study.user_attrs

    def _key(self, label: str, seed: int) -> str:
        """Of a training in the study: what was trained, by whatever name."""
        content = json.dumps([self._values[label], seed], sort_keys=True)
        return f"repeat-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def _begin(self, label: str, seed: int) -> Work:
        params = with_values(self._params, {**self._values[label], "seed": seed})
        key = self._key(label, seed)
        self._running[key] = self._runs.training("repeat", f"{label}, seed {seed}", params, None, {})
        return Work(params, key)

    def _on_epoch(self, work: Work, epoch: Epoch) -> bool:
        self._running[work.attempt].log(epoch.metrics, epoch.number)
        return True

    def _on_end(self, work: Work, outcome: Outcome | None) -> None:
        run, outcome = self._running.pop(work.attempt), outcome or Outcome("broken", reason="its process was ended")
        if outcome.best:
            run.log_best(outcome.best, outcome.epochs, outcome.seconds)
        self._runs.end(run, outcome.state, outcome.reason)
        self._study.set_user_attr(work.attempt, asdict(outcome))
        self._bar.update()


def gains(pairs: Sequence[tuple[Metrics, Metrics]], params: Params) -> list[Gain]:
    """The gain in each figure of the validation split, that of the search first; none from fewer than two pairs.

    Student's interval of the mean of the differences between trainings with the same seed.
    """
    if len(pairs) < 2:
        return []
    names = [name for name in pairs[0][0] if name.startswith("val/")]
    names.sort(key=lambda name: name != params.tune.metric)
    return [_gain(name, pairs, params) for name in names]


def _gain(metric: str, pairs: Sequence[tuple[Metrics, Metrics]], params: Params) -> Gain:
    from scipy import stats

    best, own = (np.array([pair[place][metric] for pair in pairs]) for place in (0, 1))
    more = params.tune.goal == "maximize" if metric == params.tune.metric else not metric.endswith(LESS_IS_BETTER)
    differences = best - own if more else own - best
    confidence = params.evaluation.confidence
    quantile = stats.t.ppf((1 + confidence) / 2, len(pairs) - 1)
    half = float(quantile * differences.std(ddof=1) / np.sqrt(len(pairs)))
    mean = float(differences.mean())
    return Gain(metric, len(pairs), float(best.mean()), float(own.mean()), mean, mean - half, mean + half, confidence)
