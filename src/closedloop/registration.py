"""From an evaluated model to a version, a verdict and perhaps a new champion; the receipt says why."""

from dataclasses import asdict
from typing import Any

import numpy as np

from closedloop.config import Params
from closedloop.data.examples import read_examples
from closedloop.data.tensors import read_tensors
from closedloop.errors import DataError, RegistryError
from closedloop.evaluation.comparison import Comparison, compare
from closedloop.evaluation.gate import Verdict, judge
from closedloop.evaluation.predictions import Predictions
from closedloop.files import read_json, write_json, write_text
from closedloop.lineage import dvc_hashes, git_commit
from closedloop.model_card import model_card
from closedloop.paths import Paths
from closedloop.receipt import receipt_digests
from closedloop.registry import packaging
from closedloop.registry.aliases import champion_version, load_version, move_champion, versions
from closedloop.registry.runs import Run, create_run, exists, run_name
from closedloop.registry.store import connect, registry_lock, tracking_uri, translated
from closedloop.serving.predictor import Predictor
from closedloop.tasks import get_task

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
    _log_evaluation(run, evaluation, paths)
    challenger = _version(client, params, paths, run, digests["model"])
    champion = champion_version(client, name)
    parity = _parity_error(params, paths, challenger)
    comparison, missing = (None, "") if champion is None else _compare(client, params, paths, champion)
    verdict = judge(
        evaluation, comparison, params.gate, champion_version=champion, parity_error=parity, missing=missing
    )
    reasons = verdict.reasons
    if champion == challenger:
        reasons = ["this model is the champion already"]
    elif verdict.promote:
        move_champion(client, name, challenger, reasons[0])
    current = champion if not verdict.promote or champion == challenger else challenger
    tags = {
        "verdict": _word(verdict, champion == challenger),
        "reason": reasons[0],
        "accuracy": f"{evaluation['metrics']['accuracy']['value']:.4f}",
        "git_commit": git_commit(),
        **{f"dvc:{path}": digest for path, digest in dvc_hashes(name).items()},
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, str(challenger), key, value[:5000])
    card = model_card(params, paths, challenger, verdict, tags)
    write_text(paths.report("model_card.md"), card)
    client.update_model_version(name, str(challenger), description=card)
    run.keep(paths.report("model_card.md"))
    return {
        "task": name,
        "version": challenger,
        "champion": current,
        "previous_champion": champion,
        "run_id": run.id,
        "verdict": tags["verdict"],
        "reasons": reasons,
        "checks": verdict.as_dict()["checks"],
        "comparison": None if comparison is None else asdict(comparison),
        "digests": digests,
        "summary": f"version {challenger} {tags['verdict']}: {reasons[0]}; the champion is "
        + (f"version {current}" if current is not None else "nobody"),
    }


def _word(verdict: Verdict, already: bool) -> str:
    return "champion" if already else "promoted" if verdict.promote else "refused"


def _run(client: Any, params: Params, paths: Paths) -> Run:
    """The training's run, or a stand-in when the store that held it is gone."""
    run_id = read_json(paths.run)["run_id"]
    if exists(client, run_id):
        return Run(client, run_id)
    run = create_run(client, params, "register", f"{run_name(params)} (training run lost)")
    client.log_dict(run.id, params.model_dump(), "params.yaml")
    client.set_tag(run.id, "closedloop.lost_run", run_id)
    client.set_terminated(run.id)
    return run


def _log_evaluation(run: Run, evaluation: dict[str, Any], paths: Paths) -> None:
    metrics = {}
    for name, interval in evaluation["metrics"].items():
        metrics[f"test/{name}"] = interval["value"]
        metrics[f"test/{name}_low"] = interval["low"]
        metrics[f"test/{name}_high"] = interval["high"]
    metrics["serving/latency_ms_p95"] = evaluation["serving"]["latency_ms_p95"]
    run.log(metrics, 0)
    reports = ("evaluation.json", "validation.json", "validation.html", "preprocess.json", "manifest.json")
    run.keep(paths.figures, *(paths.report(name) for name in reports))


def _version(client: Any, params: Params, paths: Paths, run: Run, digest: str) -> int:
    """The version with this model's digest, made when there is none: a run killed after making it finds it again."""
    import mlflow

    name = params.task.name
    for version in versions(client, name):
        if version.tags.get("digest") == digest:
            return int(version.version)
    preprocessor = get_task(params.task.kind).load_preprocessor(paths.preprocessor)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    records = preprocessor.encode(read_examples(paths.examples("validation")).slice(0, 2))
    model_uri = packaging.package(run.id, paths, records, predictor.answer(records))
    tags = {"digest": digest, "title": params.task.title}
    return int(mlflow.register_model(model_uri, name, tags=tags).version)


def _parity_error(params: Params, paths: Paths, version: int) -> float:
    """The largest difference between torch's probabilities and the packaged model's, on the first validation examples.

    The packaged model gets requests, torch got tensors: a skew between the two ways shows here too.
    """
    golden = read_tensors(paths.model / "golden.safetensors")["probabilities"]
    preprocessor = get_task(params.task.kind).load_preprocessor(paths.preprocessor)
    records = preprocessor.encode(read_examples(paths.examples("validation")).slice(0, min(CHECKED, len(golden))))
    uri = f"models:/{params.task.name}/{version}"
    answers = packaging.answers_of(uri, records, tracking_uri(params))
    served = np.array([[answer["probabilities"][name] for name in preprocessor.classes] for answer in answers])
    return float(np.abs(served - golden[: len(records)].astype(float)).max())


def _compare(client: Any, params: Params, paths: Paths, champion: int) -> tuple[Comparison | None, str]:
    """Challenger and champion on the same test examples; without it, why there is none."""
    examples = read_examples(paths.examples("test"))
    try:
        predictor = load_version(client, params.task.name, champion).predictor
        theirs = Predictions.of(examples, predictor.probabilities(examples), predictor.classes)
        ours = Predictions.read(paths.predictions)
        return compare(ours, theirs, params.gate.metric, params.gate.confidence), ""
    except (RegistryError, DataError) as error:
        return None, f"it cannot be compared with: {error}"
