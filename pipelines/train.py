"""train: packed tensors -> the best weights, an ONNX model, the history; an MLflow run."""

from closedloop.config import Params
from closedloop.files import read_json, sha256, write_json
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.learning import training
    from closedloop.registry.judge import require_judge
    from closedloop.registry.runs import log_dataset, training_run

    require_judge(params, paths)
    session = training.open_session(params, paths)
    with training_run(params, session["run_id"]) as run:
        training.save_session({**session, "run_id": run.id}, paths)
        counts = read_json(paths.report("preprocess.json"))["splits"]
        for split in ("train", "validation"):
            log_dataset(run, params, split, sha256(paths.tensors(split)), counts[split]["examples"])
        trained = training.fit(params, paths, run)
        training.save(trained, paths)
        run.log_best(trained.best, len(trained.history), trained.seconds)
        run.keep(paths.report("history.csv"))
        write_json(paths.run, {"run_id": run.id, "seconds": round(trained.seconds, 1)})
    training.close_session(paths)
    measured = [f"{name} {value:.4f}" for name, value in trained.best.items() if name.startswith("val/")]
    print(f"{trained.facts['epochs']} epochs, best: {', '.join(measured)}")


if __name__ == "__main__":
    main()
