"""Whether a challenger may become champion: a pure judgement over figures, with every reason recorded."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from closedloop.config import Gate
from closedloop.evaluation.comparison import Comparison

MEGABYTE = 1e6  # bytes
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
    def floors_met(self) -> bool:
        """Whether everything holds that needs no champion to compare with."""
        return all(check.passed for check in self.checks if not check.name.startswith("gain"))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    evaluation: dict[str, Any],
    comparison: Comparison | None,
    gate: Gate,
    *,
    champion_version: int | None,
    parity_error: float,
    missing: str = "no comparison was made",
) -> Verdict:
    """Decide on the challenger from its evaluation.json, and its comparison with the champion when there is one.

    The floors must hold in any case. Without a champion (`champion_version` None) they alone decide. With one, the
    whole interval of the gain must lie above gate.min_gain: a tie keeps the champion, and so does a comparison that is
    missing (`missing` says why), not finite, or made of something else than this evaluation. `parity_error` is the
    largest difference between torch's probabilities and the served model's.
    """
    checks = _floors(evaluation, gate, parity_error)
    if champion_version is not None:
        checks.append(_gain(evaluation, comparison, gate, champion_version, missing))
    failed = [check.reason for check in checks if not check.passed]
    if failed:
        return Verdict(False, failed, checks)
    if champion_version is None:
        return Verdict(True, ["the first champion: every floor is met"], checks)
    return Verdict(True, [checks[-1].reason, "every floor is met"], checks)


def _floors(evaluation: dict[str, Any], gate: Gate, parity_error: float) -> list[Check]:
    metrics = evaluation.get("metrics", {})
    serving = evaluation.get("serving", {})
    recalls = {str(row.get("class")): _finite(row.get("recall")) for row in evaluation.get("classes", [])}
    unknown = [name for name, recall in recalls.items() if recall is None]
    worst = min((name for name in recalls), key=lambda name: recalls[name] or 0, default="?")
    recall = None if unknown or not recalls else recalls[worst]
    size = _finite(serving.get("size_bytes"))
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
        _at_most(
            "latency p95 (ms)", _finite(serving.get("latency_ms_p95")), gate.max_latency_ms, "gate.max_latency_ms"
        ),
        _at_most("size (MB)", None if size is None else size / MEGABYTE, gate.max_size_mb, "gate.max_size_mb"),
        _at_most("difference from torch", _finite(parity_error), gate.max_parity_error, "gate.max_parity_error"),
    ]


def _gain(
    evaluation: dict[str, Any], comparison: Comparison | None, gate: Gate, champion_version: int, missing: str
) -> Check:
    name, champion = f"gain in {gate.metric}", f"the champion, version {champion_version}"
    flaw = missing if comparison is None else _flaw(comparison, evaluation, gate)
    if comparison is None or flaw:
        return Check(name, None, gate.min_gain, False, f"no proof against {champion}: {flaw}")
    words = (
        f"{_figure(comparison.gain)} in {gate.metric} against {champion} "
        f"({comparison.confidence:.0%} interval {_figure(comparison.low)} to {_figure(comparison.high)})"
    )
    if comparison.low > gate.min_gain:
        return Check(name, comparison.low, gate.min_gain, True, f"a gain of {words}")
    if comparison.high < 0:
        verdict = "worse: a gain of"
    elif comparison.low > 0:
        verdict = f"better, but not surely by more than {gate.min_gain:g} (gate.min_gain): a gain of"
    else:
        verdict = "a tie, which keeps the champion: a gain of"
    return Check(name, comparison.low, gate.min_gain, False, f"{verdict} {words}")


def _flaw(comparison: Comparison, evaluation: dict[str, Any], gate: Gate) -> str:
    """Why a comparison proves nothing here; empty when it does."""
    figures = (comparison.challenger, comparison.champion, comparison.gain, comparison.low, comparison.high)
    score = _value(evaluation.get("metrics", {}), gate.metric)
    flaws = {
        "the comparison is not finite": not all(map(math.isfinite, figures)),
        "the gain lies outside its own interval": not comparison.low <= comparison.gain <= comparison.high,
        f"{comparison.metric} was compared, gate.metric is {gate.metric}": comparison.metric != gate.metric,
        f"its interval holds {comparison.confidence:g}, gate.confidence asks for {gate.confidence:g}": (
            comparison.confidence < gate.confidence
        ),
        f"{comparison.examples} examples were compared, {evaluation.get('examples')} evaluated": (
            comparison.examples != evaluation.get("examples")
        ),
        f"{gate.metric} of the challenger is {comparison.challenger:g} there and {score} in its evaluation": (
            score is None or not abs(score - comparison.challenger) <= ROUNDING
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


def _finite(number: Any) -> float | None:
    return float(number) if isinstance(number, int | float) and math.isfinite(number) else None


def _figure(gain: float) -> str:
    return f"{gain:+.4f}"
