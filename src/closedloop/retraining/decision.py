"""Whether to retrain now: a pure judgement over the checks, the attempts so far and the new labels, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from closedloop.config import Retraining
from closedloop.monitoring.quality import MAE, in_report, in_words, shown
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check
from closedloop.prediction_log.clock import DAY, HOUR, to_text

DRIFT, QUALITY, NEW_LABELS, SCHEDULE, BY_HAND = "drift", "quality", "new_labels", "schedule", "by_hand"
FAILED = "failed"


@dataclass(frozen=True)
class Deployed:
    """The champion, and when it was registered (microseconds UTC)."""

    version: int
    registered: int


@dataclass(frozen=True)
class Decision:
    """Why to retrain now, or why not: `trigger` is None exactly when `waiting` holds sentences."""

    trigger: str | None
    reasons: list[str]  # what speaks for it, also while it has to wait
    waiting: list[str]  # what it waits for
    starved: bool = False  # drift or lost quality stands, and labels are what lacks


def decide(
    checks: Sequence[Check],
    attempts: Sequence[Attempt],
    new_labels: int,
    *,
    champion: Deployed,
    now: int,
    config: Retraining,
    by_hand: bool = False,
) -> Decision:
    """Decide from what the log holds about the champion; `new_labels` are those that no partition holds yet.

    An attempt that is over (`is_over`) begins the cool-down and uses up every window that ended before it began: the
    same alarms never start two. `by_hand` waits for neither alarm nor cool-down, but needs new labels all the same.
    """
    last = max((attempt for attempt in attempts if is_over(attempt)), key=lambda attempt: attempt.started, default=None)
    windows = counted(checks, champion.version, last.started if last else 0)
    found = {
        BY_HAND: "asked for by hand" if by_hand else "",
        DRIFT: _drift(windows, config),
        QUALITY: _quality(windows, config),
        NEW_LABELS: _new_labels(new_labels, config),
        SCHEDULE: _schedule(last, champion, now, config),
    }
    reasons = {trigger: sentence for trigger, sentence in found.items() if sentence}
    if not reasons:
        return Decision(None, [], [_no_reason(windows, champion, config)])
    cooling = "" if by_hand else _cooling(attempts, now, config)
    short = _too_few(new_labels, set(reasons), config)
    waiting = [sentence for sentence in (cooling, short) if sentence]
    starved = bool(short) and bool({DRIFT, QUALITY} & set(reasons))
    return Decision(None if waiting else next(iter(reasons)), list(reasons.values()), waiting, starved)


def is_over(attempt: Attempt) -> bool:
    """Whether an attempt came to a verdict, or failed for a reason that will not go away by itself.

    One that was interrupted, or that failed because a disk was full or a database away, is as though it had not been.
    """
    if attempt.outcome == FAILED:
        return not (attempt.verdict or {}).get("transient", False)
    return attempt.outcome in ("promoted", "refused", "unchanged")


def counted(checks: Sequence[Check], version: int, since: int) -> list[Check]:
    """The windows that say something about the champion and that no attempt has answered yet, the latest last.

    Left out are windows that another version answered, which say nothing about this one, those with too few rows to be
    judged, which neither confirm nor end an alarm, and those that overlap a later one: the same traffic counts once.
    """
    found = (c for c in checks if c.version == version and c.end > since and _is_judged(c))
    kept: list[Check] = []
    for check in sorted(found, key=lambda check: (check.end, check.start), reverse=True):
        if not kept or check.end <= kept[-1].start:
            kept.append(check)
    return kept[::-1]


def _is_judged(check: Check) -> bool:
    """Whether there were rows enough to judge the model: an alarm about the server alone says nothing of it."""
    return check.verdict in ("clean", "drift") and bool(check.report.get("judged", True))


def is_alarm(check: Check) -> bool:
    """Whether what the model saw and said has drifted; a slow or failing server is no reason to retrain."""
    return check.verdict == "drift" and bool(check.report["drifted"])


def _drift(windows: list[Check], config: Retraining) -> str:
    latest = windows[-config.windows :]
    alarms = sum(map(is_alarm, latest))
    if alarms < config.alarms or not is_alarm(latest[-1]):
        return ""
    why = next(iter(latest[-1].report["reasons"]), "drift")
    return (
        f"{alarms} of the last {_windows(len(latest))} of version {latest[-1].version} drifted, the latest, up to "
        f"{minute(latest[-1].end)}, among them ({why})"
    )


def _quality(windows: list[Check], config: Retraining) -> str:
    labelled = [(check.end, shown(check.report)) for check in windows if in_report(check.report)]
    if not labelled or (found := labelled[-1][1]) is None:
        return ""
    figure = found.figure
    if found.metric == MAE:
        beyond = config.max_mae > 0 and figure["low"] > config.max_mae
        limit = f"above {config.max_mae:g} (retraining.max_mae)"
    else:
        beyond = config.min_accuracy > 0 and figure["high"] < config.min_accuracy
        limit = f"below {config.min_accuracy:g} (retraining.min_accuracy)"
    if not beyond:
        return ""
    return (
        f"{in_words(found.metric)} {found.number('value')} [{found.number('low')}, {found.number('high')}] in the "
        f"latest window with labels, up to {minute(labelled[-1][0])}, lies {limit}"
    )


def _new_labels(new_labels: int, config: Retraining) -> str:
    if not config.new_labels or new_labels < config.new_labels:
        return ""
    return f"{new_labels:,} new labels have arrived; {config.new_labels:,} are a reason (retraining.new_labels)"


def _schedule(last: Attempt | None, champion: Deployed, now: int, config: Retraining) -> str:
    since, what = (last.started, "attempt") if last else (champion.registered, "registration")
    if not config.every_days or now - since < config.every_days * DAY:
        return ""
    days = (now - since) / DAY
    return f"{days:.1f} days have passed since the last {what}; every {config.every_days:g} it is time again"


def _cooling(attempts: Sequence[Attempt], now: int, config: Retraining) -> str:
    """Why it is too early; from the end of the latest attempt on, as a training may take longer than the cool-down."""
    ends = [attempt.ended or attempt.started for attempt in attempts if is_over(attempt)]
    until = max(ends, default=0) + int(config.cooldown_hours * HOUR)
    if not ends or now >= until:
        return ""
    return (
        f"the last attempt ended at {minute(max(ends))}: the next starts at {minute(until)} at the earliest "
        "(retraining.cooldown_hours)"
    )


def _too_few(new_labels: int, triggers: set[str], config: Retraining) -> str:
    if new_labels >= config.min_labels:
        return ""
    if not new_labels and not triggers & {DRIFT, QUALITY}:
        return "there is nothing new to learn from: no label has arrived that no partition holds yet"
    return (
        f"{new_labels:,} new labels are there and {config.min_labels:,} are needed (retraining.min_labels): "
        f"send the true labels of {config.min_labels - new_labels:,} more predictions to /feedback"
    )


def _no_reason(windows: list[Check], champion: Deployed, config: Retraining) -> str:
    latest = windows[-config.windows :]
    if not latest:
        return (
            f"no window of version {champion.version} has been checked since the last attempt; "
            "`make monitor ARGS=traffic=log` checks one"
        )
    alarms = sum(map(is_alarm, latest))
    ending = "" if not alarms or is_alarm(latest[-1]) else ", and the latest did not"
    return (
        f"{alarms} of the last {_windows(len(latest))} of version {champion.version} drifted{ending}; a reason are "
        f"{config.alarms} of {config.windows}, the latest among them"
    )


def _windows(count: int) -> str:
    return "window" if count == 1 else f"{count} windows"


def minute(micros: int) -> str:
    """2026-11-23 10:00 UTC."""
    return f"{to_text(micros)[:16].replace('T', ' ')} UTC"
