"""From an evaluated model to a version, a verdict and perhaps a new champion; the receipt says why."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from closedloop.config import Params
from closedloop.data.examples import ID, read_examples
from closedloop.data.tensors import read_tensors
from closedloop.errors import ClosedLoopError, RegistryError, StoreUnanswered
from closedloop.evaluation.answers import read_answers
from closedloop.evaluation.assessment import assess
from closedloop.evaluation.comparison import Comparison
from closedloop.evaluation.gate import Verdict, judge
from closedloop.evaluation.parts import (
    CONTENTS,
    TAG,
    compare_by_parts,
    contents_digest,
    known_parts,
    part_digests,
    part_names,
)
from closedloop.evaluation.wording import headline
from closedloop.files import read_json, sha256, write_json, write_text
from closedloop.lineage import dvc_hashes, git_commit
from closedloop.model_card import model_card
from closedloop.paths import Paths
from closedloop.receipt import receipt_digests
from closedloop.registry import packaging
from closedloop.registry.aliases import (
    by_hand_since,
    champion_version,
    find_version,
    is_rolled_back,
    load_version,
    move_champion,
    moves,
    standing_champion,
)
from closedloop.registry.judge import load_judge
from closedloop.registry.listing import SCORE
from closedloop.registry.runs import LOST, Run, create_run, exists, log_dataset, run_name, stand_in
from closedloop.registry.store import connect, registry_lock, tracking_uri, translated
from closedloop.serving.predictor import Predictor
from closedloop.targets import load_target
from closedloop.tasks import get_task

PROMOTED, REFUSED = "promoted", "refused"
MET = "met"
LONGEST_TAG = 100_000  # characters that MLflow keeps: the digests of a thousand parts
CHECKED = 256  # examples that the packaged model must answer as torch did


def register(params: Params, paths: Paths) -> dict[str, Any]:
    """Register the trained model unless it already is, judge it, move the alias or not; write and return the receipt.

    Raises RegistryError when the store fails, or the packaged model does not work in a process without torch.
    """
    digests = receipt_digests(params, paths)
    with registry_lock(params), translated(tracking_uri(params)):
        receipt = _register(params, paths, digests)
        write_json(paths.report("registration.json"), receipt)
    return receipt


def _register(params: Params, paths: Paths, digests: dict[str, str]) -> dict[str, Any]:
    client, name = connect(params), params.task.name
    evaluation = read_json(paths.report("evaluation.json"))
    run = _run(client, params, paths)
    _log_evaluation(run, params, evaluation, paths)
    challenger = _version(client, params, paths, run, digests["model"])
    champion = standing_champion(client, name)
    parity = _parity_error(params, paths, challenger)
    examples = read_examples(paths.examples("test"))
    fingerprints = get_task(params.task.kind).fingerprints(examples)
    digests_by_part = part_digests(examples, fingerprints, read_json(paths.report("preprocess.json"))["parts"])
    comparison, recent, missing = None, None, ""
    if champion not in (None, challenger):
        comparison, recent, missing = _compare(
            client, params, paths, (challenger, champion), examples=examples, digests=digests_by_part
        )
    verdict = judge(
        evaluation,
        comparison,
        params.gate,
        champion_version=None if champion == challenger else champion,
        parity_error=parity,
        missing=missing,
        recent=recent,
    )
    word, reasons = _decision(client, name, challenger, champion, verdict, begun=run.started)
    metric, score = headline(evaluation)
    tags = {
        "verdict": word,
        "reason": reasons[0],
        "floors": verdict.missed_floor or MET,  # for a judgement on live traffic, which cannot see them
        SCORE: metric,
        metric: f"{score['value']:.4f}",
        TAG: json.dumps(digests_by_part),
        CONTENTS: contents_digest(fingerprints),
        "git_commit": git_commit(),
        **{f"dvc:{path}": digest for path, digest in dvc_hashes(name).items()},
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, str(challenger), key, value[:LONGEST_TAG])
    card = model_card(params, paths, challenger, verdict, tags)
    write_text(paths.report("model_card.md"), card)
    client.update_model_version(name, str(challenger), description=card)
    run.keep(paths.report("model_card.md"))
    if word == PROMOTED and champion != challenger:
        if champion_version(client, name) != champion:
            raise RegistryError(f"the champion of {name} was moved by somebody else meanwhile; run `dvc repro` again")
        move_champion(client, name, challenger, reasons[0])
        champion = challenger
    return {
        "task": name,
        "version": challenger,
        "champion": champion,
        "run_id": run.id,
        "verdict": word,
        "reasons": reasons,
        "checks": verdict.as_dict()["checks"],
        "comparison": None if comparison is None else asdict(comparison),
        "recent": None if recent is None else asdict(recent),
        "digests": digests,
        "summary": f"version {challenger} {word}: {reasons[0]}; the champion is "
        + (f"version {champion}" if champion is not None else "nobody"),
    }


def _decision(
    client: Any, name: str, challenger: int, champion: int | None, verdict: Verdict, *, begun: str
) -> tuple[str, list[str]]:
    """The verdict in a word, with its reasons: the gate's, unless the version is champion already, a person has taken
    it back, or a person has chosen the champion since its training had begun (UTC)."""
    if champion == challenger:
        if not verdict.promote:
            return PROMOTED, [f"champion already, and stays so, although {verdict.reasons[0]}"]
        # after a kill behind the move, and after a new measurement: why it became champion is what counts
        tags = client.get_model_version(name, str(challenger)).tags
        return tags.get("verdict", PROMOTED), [tags.get("reason", "this model is the champion already")]
    if is_rolled_back(moves(client, name), challenger):
        return REFUSED, [f"it was rolled back by hand; `make promote VERSION={challenger}` takes it up again"]
    choice = by_hand_since(moves(client, name), begun)
    if verdict.promote and choice:
        return REFUSED, [
            f"version {champion} was made champion by hand at {choice.time}, after this training had begun; "
            f"`make promote VERSION={challenger}` puts this version in its place",
            *verdict.reasons,
        ]
    return (PROMOTED if verdict.promote else REFUSED), verdict.reasons


def _run(client: Any, params: Params, paths: Paths) -> Run:
    """The training's run, or a stand-in when the store that held it is gone."""
    run_id = read_json(paths.run)["run_id"]
    if exists(client, run_id):
        return Run(client, run_id)
    found = stand_in(client, params, run_id)
    name = f"{run_name(params)} (training run lost)"
    return found or create_run(client, params, "register", name, {LOST: run_id})


def _log_evaluation(run: Run, params: Params, evaluation: dict[str, Any], paths: Paths) -> None:
    metrics = {}
    for name, interval in evaluation["metrics"].items():
        metrics[f"test/{name}"] = interval["value"]
        metrics[f"test/{name}_low"] = interval["low"]
        metrics[f"test/{name}_high"] = interval["high"]
    for row in evaluation["parts"] if len(evaluation["parts"]) > 1 else ():
        metrics[f"test/{headline(evaluation)[0]}/{row['part']}"] = row[headline(evaluation)[0]]["value"]
    metric, simple = headline({**evaluation["baseline"], "headline": headline(evaluation)[0]})
    metrics[f"test/baseline_{metric}"] = simple["value"]
    metrics["serving/latency_ms_p95"] = evaluation["serving"]["latency_ms_p95"]
    run.log(metrics, 0)
    reports = ("evaluation.json", "validation.json", "validation.html", "preprocess.json", "manifest.json")
    run.keep(paths.figures, paths.predictions, *(paths.report(name) for name in reports))
    log_dataset(run, params, "test", sha256(paths.examples("test")), evaluation["examples"])


def _version(client: Any, params: Params, paths: Paths, run: Run, digest: str) -> int:
    """The version with this model's digest, made when there is none: a run killed after making it finds it again."""
    import mlflow

    name = params.task.name
    version = find_version(client, name, digest)
    if version is not None and _loads(params, version):
        return version
    preprocessor = get_task(params.task.kind).load_preprocessor(paths.preprocessor)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    records = preprocessor.encode(read_examples(paths.examples("validation")).slice(0, 2))
    model_uri = packaging.package(run.id, paths, records, predictor.answer(records))
    tags = {"digest": digest, "title": params.task.title}
    return int(mlflow.register_model(model_uri, name, tags=tags).version)


def _loads(params: Params, version: int) -> bool:
    try:
        load_version(params, version)
        return True
    except StoreUnanswered:
        raise
    except RegistryError as error:
        print(f"registering anew: {error}")
        return False


def _parity_error(params: Params, paths: Paths, version: int) -> float:
    """The largest difference between torch's answers and the packaged model's, on the first validation examples; of
    numbers in deviations of the target.

    The packaged model gets requests, torch got tensors: a skew between the two ways shows here too.
    """
    golden = read_tensors(paths.model / "golden.safetensors")["answers"]
    preprocessor = get_task(params.task.kind).load_preprocessor(paths.preprocessor)
    records = preprocessor.encode(read_examples(paths.examples("validation")).slice(0, min(CHECKED, len(golden))))
    uri = f"models:/{params.task.name}/{version}"
    answers = packaging.answers_of(uri, records, tracking_uri(params))
    target = load_target(paths.preprocessor)
    served = np.array([target.row(answer) for answer in answers])
    return float(np.abs(served - golden[: len(records)].astype(float)).max() / target.scale)


def _compare(
    client: Any,
    params: Params,
    paths: Paths,
    versions: tuple[int, int],
    *,
    examples: pa.Table,
    digests: dict[str, str],
) -> tuple[Comparison | None, Comparison | None, str]:
    """(challenger, champion) on the test examples that the champion knows of, and on recent ones, or why they are not
    compared."""
    (challenger, champion), name = versions, params.task.name
    known = known_parts(client.get_model_version(name, str(champion)).tags, digests, examples)
    if known is None:
        reason = (
            "it was trained on other splits, so that today's test examples may be among those it has learnt; "
            f"compare by other means and decide with `make promote VERSION={challenger}`"
        )
        return None, None, reason
    ids = zip(examples.column(ID).to_pylist(), part_names(examples), strict=True)
    recent = [example for example, part in ids if part not in known]
    try:
        predictor = load_version(params, champion).predictor
        judged_by = read_json(paths.report("evaluation.json")).get("judge", {}).get("version")
        theirs = assess(predictor, examples, params, load_judge(params, judged_by))
        return *compare_by_parts(read_answers(paths.predictions), theirs, recent, params.gate), ""
    except StoreUnanswered:
        raise
    except ClosedLoopError as error:
        return None, None, f"it cannot be compared with: {error}"
