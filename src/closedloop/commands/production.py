"""The model in production: the server, its log, the labels that come back, retraining, and the drill."""

import sys
from pathlib import Path

from closedloop.commands import PARAMS, Command, Options, Parser
from closedloop.commands.registry import port, positive
from closedloop.errors import ClosedLoopError


def serve(options: Options) -> int:
    from closedloop.config import load
    from closedloop.serving.server import serve as run_server

    params = load(PARAMS)
    return run_server(params, options.host, options.port or params.serving.port, options.workers)


def key(_options: Options) -> None:
    from closedloop.serving.auth import new_key

    secret, digest = new_key()
    print(f"key     {secret}   (for the client; it is shown once)\ndigest  {digest}   (for the server)")
    print("put the digest into CLOSEDLOOP_PREDICT_KEYS or CLOSEDLOOP_FEEDBACK_KEYS, separated by commas from others")


def feedback(options: Options) -> None:
    from closedloop.config import load
    from closedloop.errors import DataError
    from closedloop.prediction_log.labels import load_file
    from closedloop.prediction_log.store import open_log
    from closedloop.targets import of_task

    params = load(PARAMS)
    found = load_file(open_log(params), params.task.name, options.file, of_task(params.task))
    print(f"{found.accepted:,} new, {found.revised:,} revised, {found.unchanged:,} known already")
    if found.unknown:
        raise DataError(
            f"{len(found.unknown):,} ids are not in the prediction log (first in row {found.unknown[0] + 1}); "
            "the other labels are in"
        )


def export(options: Options) -> None:
    from closedloop.config import load
    from closedloop.prediction_log import clock
    from closedloop.prediction_log.export import export as write
    from closedloop.prediction_log.store import open_log

    params = load(PARAMS)
    start, end = (clock.to_micros(text) for text in (options.start, options.end))
    rows = write(open_log(params), params.task.name, start, end, options.file)
    print(f"{rows:,} predictions of {params.task.name} in {options.file}")


def prune(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.prediction_log import clock
    from closedloop.prediction_log.retention import prune as forget
    from closedloop.prediction_log.store import open_log

    params = load(PARAMS)
    deleted = forget(open_log(params), params, clock.now())
    print("deleted: " + ", ".join(f"{count:,} {table}" for table, count in deleted.items()))


def retrain(options: Options) -> int:
    from closedloop.retraining.loop import retrain as run_loop

    try:
        result = run_loop(PARAMS, options.force)
    finally:  # the page shows attempts that came to nothing as well
        _write_history()
    print(result.text)
    return result.exit_code


def _write_history() -> None:
    from closedloop.config import load
    from closedloop.monitoring.recording import write_history
    from closedloop.paths import Paths
    from closedloop.prediction_log.store import open_log

    try:
        params = load(PARAMS)
        write_history(params, Paths(params.task.name), open_log(params))
    except (ClosedLoopError, OSError) as error:  # the attempt's own error matters more
        print(f"closedloop: the history page was not written: {error}", file=sys.stderr)


def history(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.retraining.history import history as listed

    print(listed(load(PARAMS)))


def drill(options: Options) -> int:
    from closedloop.config import load
    from closedloop.drill.drill import drill as run_drill
    from closedloop.errors import ConfigError
    from closedloop.paths import Paths
    from closedloop.targets import require_labels
    from closedloop.tasks.schema import KINDS

    params = load(PARAMS)
    require_labels(params.task)
    chosen = {key: value for key in ("scenario", "severity") if (value := getattr(options, key)) is not None}
    config = params.drill.model_copy(update=chosen)
    allowed = KINDS[params.task.kind].scenarios
    if config.scenario not in allowed:
        raise ConfigError(
            f"there is no scenario {config.scenario} for {params.task.kind}; allowed: {', '.join(allowed)}"
        )
    report = run_drill(params.model_copy(update={"drill": config}), options.seed)
    print(f"\n{'passed' if report.passed else 'FAILED'}; figures in {Paths(params.task.name).report('drill.json')}")
    return 0 if report.passed else 1


def _serve(parser: Parser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="anything but loopback needs API keys")
    parser.add_argument("--port", type=port, help="default: serving.port")
    parser.add_argument("--workers", type=positive, help="processes; default: serving.workers")


def _force(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="by hand: without waiting for an alarm or a cool-down")


def _file(parser: Parser) -> None:
    parser.add_argument("file", type=Path)


def _window(parser: Parser) -> None:
    _file(parser)
    parser.add_argument("--start", default="1970-01-01T00:00:00Z", help="UTC, e.g. 2026-11-23T00:00:00Z")
    parser.add_argument("--end", default="9999-01-01T00:00:00Z")


def _drill(parser: Parser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of training, splits and shift")
    parser.add_argument("--scenario", help="how the world changes; default: drill.scenario")
    parser.add_argument("--severity", type=int, choices=range(1, 6))


COMMANDS = [
    Command("serve", "answer requests with the champion", serve, _serve),
    Command("key", "make an API key and its digest", key),
    Command("feedback", "read true labels from a CSV or JSON-lines file with id and label", feedback, _file),
    Command("export", "write predictions with their labels to a Parquet file", export, _window),
    Command("prune", "delete from the prediction log what is older than log.keep_days", prune),
    Command(
        "retrain", "retrain when there is a reason to; exit code 3 when drift stands and labels lack", retrain, _force
    ),
    Command("history", "list the attempts to retrain and the latest windows", history),
    Command("drill", "rehearse drift, retraining and rollback on a server that runs", drill, _drill),
]
