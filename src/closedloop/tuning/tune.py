"""From a prepared task to the best values found, with an honest word on what they gain."""

from dataclasses import asdict

from closedloop.config import Params
from closedloop.errors import DataError, TrainingError
from closedloop.files import read_json, sha256, write_json
from closedloop.paths import Paths
from closedloop.registry.store import tracking_uri, translated
from closedloop.registry.trials import SearchRuns
from closedloop.tuning import figures
from closedloop.tuning.gain import Gain, Repeats, gains
from closedloop.tuning.pool import open_pool, shared
from closedloop.tuning.report import note, remarks, summary
from closedloop.tuning.search import Trials
from closedloop.tuning.space import Space, Values, read_space
from closedloop.tuning.study import RUN, Search, open_search, readable
from closedloop.tuning.tuned import write_tuned

READ = ("train", "validation")
MARKED = "marked"  # attribute of a study: the MLflow run that carries the tag of the best


def tune(params: Params, paths: Paths) -> str:
    """Search until tune.trials have ended, and write the best values into conf/tuned/; return what it came to in words.

    The training and validation splits alone are read. Raises ConfigError for a space that cannot be searched,
    DataError without prepared data, TrainingError when no trial has come to its end.
    """
    space = read_space(params)
    for split in READ:
        if not paths.tensors(split).is_file():
            raise DataError(f"{paths.tensors(split)} is missing; run `dvc repro preprocess@{paths.task}`")
    with readable(paths.studies):
        return _search(params, paths, space)


def _search(params: Params, paths: Paths, space: Space) -> str:
    search = open_search(params, paths, space)
    ended, wanted = len(search.ended), params.tune.trials
    print(f"search {search.name}: {', '.join(space)}")
    print(f"{wanted} trials" + (f", of which {ended} have ended already" if ended else ""), flush=True)
    counts = read_json(paths.report("preprocess.json"))["splits"]
    data = {split: (sha256(paths.tensors(split)), counts[split]["examples"]) for split in READ}
    runs = SearchRuns(params, search.label, search.study.user_attrs.get(RUN), data)
    search.study.set_user_attr(RUN, runs.parent.id)
    outcome = "interrupted"
    try:
        with translated(tracking_uri(params)), open_pool(params.tune.jobs, paths.root, paths.trials) as pool:
            each = shared(params)
            Trials(search, runs, each).run(pool)
            if search.best is None:
                raise TrainingError(f"none of {len(search.ended)} trials has come to its end; look at {paths.trials}")
            values = search.values(search.best)
            again = params.tune.repeats and not search.configured_is_best
            pairs = Repeats(search, runs, each, values).run(pool) if again else []
        said = _conclude(search, runs, paths, values, gains(pairs, params))
        outcome = "complete"
        return said
    finally:
        runs.end(runs.parent, outcome)


def _conclude(search: Search, runs: SearchRuns, paths: Paths, values: Values, gained: list[Gain]) -> str:
    params, picture = search.params, paths.report("tuning.png")
    file, overrides = write_tuned(params, values, remarks(search, gained))
    command = f"make run TASK={params.task.name} ARGS='{' '.join(overrides)}'"
    figures.draw(search, picture)
    report = paths.report("tuning.json")
    write_json(report, {"study": search.name, "values": values, "gains": [asdict(gain) for gain in gained]})
    best = search.best
    assert best is not None and best.value is not None  # noqa: S101  the caller has seen it
    runs.mark_best(best.user_attrs[RUN], search.study.user_attrs.get(MARKED))
    search.study.set_user_attr(MARKED, best.user_attrs[RUN])
    metrics = {params.tune.metric.replace("val/", "best/val_"): best.value}
    for gain in gained:
        metrics |= {f"gain/{gain.metric.removeprefix('val/')}{end}": value for end, value in _ends(gain)}
    runs.summarise(note(search, values, gained, command), metrics, len(search.ended), [picture, report, file])
    return summary(search, values, gained, picture, command)


def _ends(gain: Gain) -> list[tuple[str, float]]:
    return [("", gain.gain), ("_low", gain.low), ("_high", gain.high)]
