"""The challenger against the champion on labelled live traffic; the better one goes on as champion."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from closedloop.config import AnyGate, Params
from closedloop.errors import DataError, RegistryError
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.comparison import Comparison, compare
from closedloop.evaluation.live import compare_unpaired, logged_answers, look_confidence
from closedloop.files import write_json
from closedloop.monitoring.service import judge_latency, latency_reason
from closedloop.paths import Paths
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.trials import Answered, Trial, canaried, fallbacks, latencies, shadowed
from closedloop.registration import MET, PROMOTED, REFUSED
from closedloop.registry.aliases import champion_version, is_rolled_back, move_champion, moves
from closedloop.registry.store import CHALLENGER, connect, registry_lock, tracking_uri, translated
from closedloop.registry.watch import alias_version, model_files, version_folder
from closedloop.targets import load_target

UNDECIDED = "undecided"
RECORD = "live_judgement"  # tag of a version: the latest judgement of it, as JSON
MOST_RESAMPLES = 20_000


@dataclass(frozen=True)
class Evidence:
    """Enough labelled answers of both versions, and how they came about."""

    paired: bool  # in shadow; as a canary otherwise
    trial: Trial
    failures: int = 0  # requests that the canary could not answer, and the champion could
    latency_ms: tuple[float, ...] = ()  # of the canary's answers; in shadow nobody waits for one

    @property
    def digest(self) -> str:
        """Changes when there is something new to look at."""
        content = [(answered.ids, answered.labels) for answered in self.trial]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def judge(params: Params, paths: Paths) -> dict[str, Any]:
    """Compare the challenger with the champion on live traffic, move the champion alias or not; write the judgement.

    A surely better one becomes champion, a surely worse one is taken off the traffic, any other goes on being tried.

    Raises RegistryError when there is no challenger or the store fails, LogError when the log cannot be read.
    """
    client, engine, name = connect(params), open_log(params), params.task.name
    with registry_lock(params), translated(tracking_uri(params)):
        challenger, champion = _contestants(client, params)
        judgement: dict[str, Any] = {"task": name, "challenger": challenger, "champion": champion, "comparison": None}
        found = collect(engine, params, challenger, champion)
        if isinstance(found, str):
            judgement |= {"verdict": UNDECIDED, "reason": found}
        else:
            judgement |= _judged(client, params, found, challenger, champion)
            _record(client, name, judgement)
            if judgement["verdict"] == PROMOTED:
                move_champion(client, name, challenger, judgement["reason"])
                judgement["champion"] = challenger
            comparison = judgement["comparison"]
            if judgement["verdict"] == PROMOTED or (comparison and comparison["high"] < 0):
                client.delete_registered_model_alias(name, CHALLENGER)
        judgement["summary"] = (
            f"version {challenger} {judgement['verdict']}: {judgement['reason']}; the champion is "
            f"version {judgement['champion']}"
        )
        write_json(paths.report("judgement.json"), judgement)
    return judgement


def collect(engine: Engine, params: Params, challenger: int, champion: int) -> Evidence | str:
    """The labelled answers of both on live traffic, pairs where there are enough of them; or why there is no evidence.

    Raises LogError.
    """
    name, needed = params.task.name, params.gate.min_recent
    shadow = shadowed(engine, name, challenger, champion)
    if len(shadow.champion.ids) >= needed:
        return Evidence(True, shadow)
    canary = canaried(engine, name, challenger, champion)
    if min(len(answered.ids) for answered in canary) >= needed:
        since = min(canary.challenger.ids)
        times = latencies(engine, name, challenger, since)
        return Evidence(False, canary, fallbacks(engine, name, champion, since), tuple(times))
    return (
        f"too little evidence against version {champion}: {len(shadow.champion.ids)} labelled answers in its shadow, "
        f"{len(canary.challenger.ids)} as a canary beside {len(canary.champion.ids)} of the champion; "
        f"at least {needed} are needed (gate.min_recent)"
    )


def decide(comparison: Comparison, champion: int, gate: AnyGate, obstacle: str) -> tuple[str, str]:
    """The verdict on a challenger in a word, and why; `obstacle` is what forbids its promotion in any case, or empty.

    The whole interval of the gain must lie above gate.min_gain: a tie keeps the champion.
    """
    figures = (comparison.gain, comparison.low, comparison.high)
    if not all(map(math.isfinite, figures)) or not comparison.low <= comparison.gain <= comparison.high:
        return UNDECIDED, f"the comparison with version {champion} is not finite, and so no proof"
    words = (
        f"a gain of {comparison.gain:+.4f} in {comparison.metric} on live traffic against version {champion} "
        f"({comparison.confidence:.2%} interval {comparison.low:+.4f} to {comparison.high:+.4f}; {comparison.method})"
    )
    if comparison.high < 0:
        return REFUSED, f"worse, and taken off the traffic: {words}"
    if comparison.low > gate.min_gain:
        return (REFUSED, f"{obstacle}; in spite of {words}") if obstacle else (PROMOTED, words)
    if comparison.low > 0:
        return UNDECIDED, f"better, but not surely by more than {gate.min_gain:g} (gate.min_gain): {words}"
    return UNDECIDED, f"a tie so far, which keeps the champion: {words}"


def _contestants(client: Any, params: Params) -> tuple[int, int]:
    """Challenger and champion.

    Raises RegistryError when one is missing, or both are the same.
    """
    name = params.task.name
    challenger, champion = alias_version(params, CHALLENGER), champion_version(client, name)
    if challenger is None:
        raise RegistryError(f"{name} has no challenger to judge; `make challenge VERSION=…` names one")
    if champion is None:
        raise RegistryError(f"{name} has no champion to compare with; `make run` or `make promote` sets one")
    if challenger == champion:
        raise RegistryError(
            f"the challenger of {name}, version {champion}, is the champion already: `make unchallenge`"
        )
    return challenger, champion


def _judged(client: Any, params: Params, found: Evidence, challenger: int, champion: int) -> dict[str, Any]:
    """The verdict on evidence, with the comparison that it rests on and how often this pair has been looked at."""
    name, tags = params.task.name, client.get_model_version(params.task.name, str(challenger)).tags
    earlier = json.loads(tags.get(RECORD, "{}"))
    look = int(earlier.get("look", 0)) if earlier.get("champion") == champion else 0
    if look == 0 or earlier.get("evidence") != found.digest:  # the same evidence gives chance no second try
        look += 1
    record = {"evidence": found.digest, "look": look}
    try:
        comparison = _compare(params, found, challenger, champion, look_confidence(params.gate.confidence, look))
    except DataError as error:
        return record | {"verdict": UNDECIDED, "reason": f"no proof: {error}", "comparison": None}
    rolled_back = is_rolled_back(moves(client, name), challenger)
    obstacle = _obstacle(tags.get("floors"), rolled_back, challenger, found.failures) or _slow(found, params)
    verdict, reason = decide(comparison, champion, params.gate, obstacle)
    return record | {"verdict": verdict, "reason": reason, "comparison": asdict(comparison)}


def _obstacle(floors: str | None, rolled_back: bool, version: int, failures: int) -> str:
    """What forbids a promotion, whatever live traffic says; `floors` is the tag that registration has left."""
    if floors != MET:
        return f"below a floor of the gate ({floors})" if floors else "not known to meet the floors of the gate"
    if rolled_back:
        return f"it was rolled back by hand, `make promote VERSION={version}` takes it up again"
    return f"it could not answer {failures} requests that the champion answered in its place" if failures else ""


def _slow(found: Evidence, params: Params) -> str:
    latency = judge_latency(found.latency_ms, params.monitor)
    return f"it is slow: {latency_reason(latency)}" if latency and latency["alarm"] else ""


def _compare(params: Params, found: Evidence, challenger: int, champion: int, confidence: float) -> Comparison:
    ours = _answers(params, found.trial.challenger, challenger)
    theirs = _answers(params, found.trial.champion, champion)
    # a percentile far out in the tail needs resamples there
    resamples = min(MOST_RESAMPLES, max(params.evaluation.resamples, math.ceil(40 / (1 - confidence))))
    compared = compare if found.paired else compare_unpaired
    return compared(ours, theirs, params.gate.metric, confidence, resamples=resamples, seed=params.evaluation.seed)


def _answers(params: Params, answered: Answered, version: int) -> Answers:
    _, preprocessor = model_files(version_folder(params, version))
    return logged_answers(answered.ids, answered.labels, answered.probabilities, load_target(preprocessor))


def _record(client: Any, name: str, judgement: dict[str, Any]) -> None:
    """Write the judgement on the version, before anything moves: a kill then costs a look, not the memory of one."""
    version = str(judgement["challenger"])
    record = judgement | {"reason": judgement["reason"][:1000]}  # a tag holds 5000 characters
    client.set_model_version_tag(name, version, RECORD, json.dumps(record))
    if judgement["verdict"] == PROMOTED:  # the latest word on why it may be champion
        client.set_model_version_tag(name, version, "verdict", PROMOTED)
        client.set_model_version_tag(name, version, "reason", judgement["reason"][:5000])
