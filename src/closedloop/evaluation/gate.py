"""Whether a challenger may become champion: a pure judgement over figures, with every reason recorded."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from closedloop.config import ActionGate, AnyGate, ClassGate, ImageGate, NumberGate, TextGate
from closedloop.evaluation.comparison import Comparison

MEGABYTE = 1e6  # bytes
GAIN = "gain in"  # how the names of comparisons begin
ROUNDING = 1e-6  # between the challenger's score in its evaluation and in the comparison: the same predictions


@dataclass(frozen=True)
class Check:
    """One condition of promotion: what was found, what is asked for, and the sentence that says so."""

    name: str
    found: float | None  # None: not known, and therefore not passed
    bound: float
    passed: bool
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision; `reasons` names what decided it, the weightiest first."""

    promote: bool
    reasons: list[str]
    checks: list[Check]

    @property
    def missed_floor(self) -> str | None:
        """The first reason among the conditions that need no champion to compare with; None where all are met."""
        floors = (check for check in self.checks if not check.name.startswith(GAIN))
        return next((check.reason for check in floors if not check.passed), None)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    evaluation: dict[str, Any],
    comparison: Comparison | None,
    gate: AnyGate,
    *,
    champion_version: int | None,
    parity_error: float,
    missing: str = "no comparison was made",
    recent: Comparison | None = None,
) -> Verdict:
    """Decide on the challenger from its evaluation.json, and its comparison with the champion when there is one.

    The floors must hold in any case; those of quality on the official test examples, as in a changed world nobody knows
    what can be reached: there the gain alone counts. Without a champion (`champion_version` None) they alone decide.
    With one, the whole interval of the gain must lie above gate.min_gain: a tie keeps the champion, and so does a
    comparison that is missing (`missing` says why), not finite, or made of something else than this evaluation.
    `parity_error` is the largest difference between torch's probabilities and the served model's.

    `comparison` is on the test examples of the data that the champion knows, `recent` on those of labelled feedback
    that came after it. With at least gate.min_recent of them it is enough to win on one of the two, when the interval
    of the other gain lies above -gate.max_loss; fewer prove nothing.
    """
    checks = _floors(evaluation, gate, parity_error)
    if champion_version is not None:
        flaw = missing if comparison is None else _flaw(comparison, recent, evaluation, gate)
        checks += _gains(None if flaw else comparison, recent, gate, f"the champion, version {champion_version}", flaw)
    failed = [check.reason for check in checks if not check.passed]
    too_few = _too_few(recent, gate) if champion_version is not None else []
    if failed:
        return Verdict(False, failed + too_few, checks)
    if champion_version is None:
        return Verdict(True, ["the first champion: every floor is met"], checks)
    gains = sorted((check for check in checks if check.name.startswith(GAIN)), key=lambda check: -check.bound)
    return Verdict(True, [*(check.reason for check in gains), "every floor is met", *too_few], checks)


def _floors(evaluation: dict[str, Any], gate: AnyGate, parity_error: float) -> list[Check]:
    official, serving = evaluation.get("official", evaluation), evaluation.get("serving", {})
    size = _finite(serving.get("size_bytes"))
    return [
        *_quality_floors(official, gate),
        _at_most(
            "latency p95 (ms)", _finite(serving.get("latency_ms_p95")), gate.max_latency_ms, "gate.max_latency_ms"
        ),
        _at_most("size (MB)", None if size is None else size / MEGABYTE, gate.max_size_mb, "gate.max_size_mb"),
        *([_over_baseline(evaluation.get("baseline", {}), gate)] if gate.beat_baseline else []),
        _at_most("difference from torch", _finite(parity_error), gate.max_parity_error, "gate.max_parity_error"),
    ]


def _quality_floors(official: dict[str, Any], gate: AnyGate) -> list[Check]:
    metrics = official.get("metrics", {})
    if isinstance(gate, NumberGate):
        checks = [
            _at_least("R2", _value(metrics, "r2"), gate.min_r2, "gate.min_r2"),
            _at_least("coverage of the intervals", _value(metrics, "coverage"), gate.min_coverage, "gate.min_coverage"),
        ]
        if gate.max_mae is not None:
            checks.append(_at_most("mean absolute error", _value(metrics, "mae"), gate.max_mae, "gate.max_mae"))
        return checks
    if isinstance(gate, TextGate):
        return [_at_most("nats a character", _value(metrics, "nats"), gate.max_nats, "gate.max_nats")]
    if isinstance(gate, ActionGate):
        return [_at_least("return of an episode", _value(metrics, "return"), gate.min_return, "gate.min_return")]
    if isinstance(gate, ImageGate):
        return [
            _at_most("Fréchet distance", _value(metrics, "frechet"), gate.max_frechet, "gate.max_frechet"),
            _at_least("precision", _value(metrics, "precision"), gate.min_precision, "gate.min_precision"),
            _at_least("recall", _value(metrics, "recall"), gate.min_recall, "gate.min_recall"),
            _at_least(
                "share of the rarest class",
                _value(metrics, "rarest_class"),
                gate.min_class_share,
                "gate.min_class_share",
            ),
            _at_most("share of copies", _value(metrics, "copied"), gate.max_copied, "gate.max_copied"),
        ]
    assert isinstance(gate, ClassGate)  # noqa: S101  there is no other
    recalls = {str(row.get("class")): _finite(row.get("recall")) for row in official.get("classes", [])}
    unknown = [name for name, recall in recalls.items() if recall is None]
    worst = min((name for name in recalls), key=lambda name: recalls[name] or 0, default="?")
    recall = None if unknown or not recalls else recalls[worst]
    return [
        _at_least("accuracy", _value(metrics, "accuracy"), gate.min_accuracy, "gate.min_accuracy"),
        _at_least("macro F1", _value(metrics, "macro_f1"), gate.min_macro_f1, "gate.min_macro_f1"),
        _at_least("worst class recall", recall, gate.min_class_recall, "gate.min_class_recall", f" (class {worst})"),
        _at_most(
            "calibration error",
            _value(metrics, "calibration_error"),
            gate.max_calibration_error,
            "gate.max_calibration_error",
        ),
    ]


def _over_baseline(baseline: dict[str, Any], gate: AnyGate) -> Check:
    """Whether the network is surely better than a simple model of the same training split."""
    gain = baseline.get("gains", {}).get(gate.metric, {})
    low, found = _finite(gain.get("low")), _finite(gain.get("gain"))
    if low is None or found is None:
        unknown = f"the gain in {gate.metric} over a baseline is unknown"
        return Check("better than the baseline", None, 0, False, unknown)
    words = (
        f"better than the baseline, {baseline.get('name')}: a gain of {_figure(found)} in {gate.metric} "
        f"(interval from {_figure(low)}; gate.beat_baseline)"
    )
    return Check("better than the baseline", low, 0, low > 0, words if low > 0 else f"not surely {words}")


def _gains(
    comparison: Comparison | None, recent: Comparison | None, gate: AnyGate, champion: str, flaw: str
) -> list[Check]:
    name = f"{GAIN} {gate.metric}"
    if comparison is None:
        return [Check(name, None, gate.min_gain, False, f"no proof against {champion}: {flaw}")]
    if recent is None or _too_few(recent, gate):
        return [_gain(name, comparison, gate, False, champion)]
    won = max(comparison.low, recent.low) > gate.min_gain
    return [
        _gain(name, comparison, gate, won, f"{champion}, on {comparison.examples} test examples that it knows of"),
        _gain(f"{name} on recent feedback", recent, gate, won, f"{champion}, on {recent.examples} recent ones"),
    ]


def _gain(name: str, comparison: Comparison, gate: AnyGate, won_elsewhere: bool, against: str) -> Check:
    """Won, or else, where the other comparison is won, surely not lost by more than gate.max_loss."""
    words = (
        f"{_figure(comparison.gain)} in {gate.metric} against {against} "
        f"({comparison.confidence:.0%} interval {_figure(comparison.low)} to {_figure(comparison.high)})"
    )
    if comparison.low > gate.min_gain:
        return Check(name, comparison.low, gate.min_gain, True, f"a gain of {words}")
    if won_elsewhere:
        held = comparison.low > -gate.max_loss
        verdict = "surely no loss" if held else "not surely without a loss"
        reason = f"{verdict} of more than {gate.max_loss:g} (gate.max_loss): a gain of {words}"
        return Check(name, comparison.low, -gate.max_loss, held, reason)
    if comparison.high < 0:
        verdict = "worse: a gain of"
    elif comparison.low > 0:
        verdict = f"better, but not surely by more than {gate.min_gain:g} (gate.min_gain): a gain of"
    else:
        verdict = "a tie, which keeps the champion: a gain of"
    return Check(name, comparison.low, gate.min_gain, False, f"{verdict} {words}")


def _too_few(recent: Comparison | None, gate: AnyGate) -> list[str]:
    if recent is None or recent.examples >= gate.min_recent:
        return []
    return [
        f"{recent.examples} recent test examples prove nothing and are left out: "
        f"at least {gate.min_recent} are needed (gate.min_recent)"
    ]


def _flaw(comparison: Comparison, recent: Comparison | None, evaluation: dict[str, Any], gate: AnyGate) -> str:
    """Why the comparisons prove nothing here; empty when they do. Together they are on what was evaluated."""
    parts = [comparison] if recent is None else [comparison, recent]
    flaw = next((flaw for part in parts if (flaw := _own_flaw(part, gate))), "")
    if flaw:
        return flaw
    examples = sum(part.examples for part in parts)
    challenger = sum(part.examples * part.challenger for part in parts) / max(examples, 1)
    score = _score(evaluation.get("metrics", {}), gate.metric)
    if examples != evaluation.get("examples"):
        return f"{examples} examples were compared, {evaluation.get('examples')} evaluated"
    if score is None or not abs(score - challenger) <= ROUNDING * max(1.0, abs(challenger)):
        return f"{gate.metric} of the challenger is {challenger:g} there and {score} in its evaluation"
    return ""


def _own_flaw(comparison: Comparison, gate: AnyGate) -> str:
    figures = (comparison.challenger, comparison.champion, comparison.gain, comparison.low, comparison.high)
    flaws = {
        "the comparison is not finite": not all(map(math.isfinite, figures)),
        "the gain lies outside its own interval": not comparison.low <= comparison.gain <= comparison.high,
        f"{comparison.metric} was compared, gate.metric is {gate.metric}": comparison.metric != gate.metric,
        f"its interval holds {comparison.confidence:g}, gate.confidence asks for {gate.confidence:g}": (
            comparison.confidence < gate.confidence
        ),
    }
    return next((flaw for flaw, present in flaws.items() if present), "")


def _at_least(name: str, found: float | None, bound: float, key: str, where: str = "") -> Check:
    passed = found is not None and found >= bound
    return Check(name, found, bound, passed, _sentence(name + where, found, passed, f"at least {bound:g} ({key})"))


def _at_most(name: str, found: float | None, bound: float, key: str) -> Check:
    passed = found is not None and found <= bound
    return Check(name, found, bound, passed, _sentence(name, found, passed, f"at most {bound:g} ({key})"))


def _sentence(name: str, found: float | None, passed: bool, asked: str) -> str:
    if found is None:
        return f"{name} is not known; it must be {asked}"
    return f"{name} {found:.4g} is {asked}" if passed else f"{name} {found:.4g} is not {asked}"


def _value(metrics: dict[str, Any], name: str) -> float | None:
    return _finite(metrics.get(name, {}).get("value"))


def _score(metrics: dict[str, Any], metric: str) -> float | None:
    """What a comparison in this metric must have found for the challenger."""
    if metric != "mse":
        return _value(metrics, metric)
    rmse = _value(metrics, "rmse")
    return None if rmse is None else rmse**2


def _finite(number: Any) -> float | None:
    return float(number) if isinstance(number, int | float) and math.isfinite(number) else None


def _figure(gain: float) -> str:
    return f"{gain:+.4f}"
