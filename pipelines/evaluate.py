"""evaluate: the exported model on the test split -> metrics with intervals, figures, the reference for drift."""

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.evaluation.evaluate import evaluate
    from closedloop.registry.judge import load_judge

    report = evaluate(params, paths, load_judge(params))
    if judge := report.get("judge"):
        kept = "the same test images" if judge["kept_from_test_images"] else "others: it may have learnt some of these"
        print(f"judged by version {judge['version']} of {judge['name']}, which was tested on {kept}")
    for name, figure in report["metrics"].items():
        print(f"{name:17} {figure['value']:.4f}  [{figure['low']:.4f}, {figure['high']:.4f}]  {figure['method']}")
    metric = report["headline"]
    if gain := report["baseline"]["gains"].get(metric):
        interval = f"[{gain['low']:+.4f}, {gain['high']:+.4f}]"
        print(f"gain in {metric:9} {gain['gain']:+.4f}  {interval}  over the baseline, {report['baseline']['name']}")
    for row in report["parts"] if len(report["parts"]) > 1 else ():
        found = row[metric]
        interval = f"[{found['low']:.4f}, {found['high']:.4f}]"
        print(f"{metric} {found['value']:.4f}  {interval}  on {row['examples']:,} test examples of {row['part']}")


if __name__ == "__main__":
    main()
