"""validate: raw data -> every check's outcome as JSON and as a page; stops the pipeline when one fails."""

from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.preparation.raw import read_raw
from closedloop.preparation.validation import unreadable, validate
from closedloop.preparation.validation_report import write_report
from closedloop.stage import stage
from closedloop.tasks import get_task


@stage
def main(params: Params, paths: Paths) -> None:
    task, page = get_task(params.task.kind), paths.report("validation.html")
    try:
        examples = read_raw(paths.raw, params)
        result = validate(examples, task, params)
    except DataError as error:
        examples, result = None, unreadable(error)
    write_json(paths.report("validation.json"), result.to_json())
    write_report(page, result, examples, task, params)
    result.raise_if_failed(str(paths.raw), str(page))
    print(f"{examples.num_rows} examples passed {len(result.findings)} checks; see {page}")


if __name__ == "__main__":
    main()
