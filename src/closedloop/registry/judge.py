"""The registered classifier that images are judged by."""

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.evaluation.judge import Judge
from closedloop.evaluation.parts import CONTENTS
from closedloop.paths import Paths
from closedloop.registry.store import CHAMPION
from closedloop.registry.watch import alias_version, model_files, version_folder, version_tags
from closedloop.tasks import get_task
from closedloop.tasks.images.generator import GeneratorPreprocessor


def load_judge(params: Params, version: int | None = None) -> Judge | None:
    """The classifier that evaluation.judge names, in a version or as its champion is; None where it names none.

    Raises RegistryError when it has no champion or is not usable, DataError when it is no classifier.
    """
    name = params.evaluation.judge
    if name is None:
        return None
    of_judge = params.model_copy(update={"task": params.task.model_copy(update={"name": name})})
    version = version or _champion(of_judge)
    files = model_files(version_folder(of_judge, version))
    return Judge.load(name, version, *files, version_tags(of_judge, version).get(CONTENTS))


def require_judge(params: Params, paths: Paths) -> None:
    """Raise an error before anything is learnt where the judge is missing, or looks at images of another form."""
    judge = load_judge(params)
    if judge is not None:
        fitted = get_task(params.task.kind).load_preprocessor(paths.preprocessor)
        assert isinstance(fitted, GeneratorPreprocessor)  # noqa: S101  the configuration asks for one for them alone
        judge.require_form(fitted.form)


def _champion(of_judge: Params) -> int:
    name, reason = of_judge.task.name, "this registry has no champion of it"
    try:
        version = alias_version(of_judge, CHAMPION)
    except RegistryError as error:  # a store that is not there yet among others
        version, reason = None, str(error)
    if version is None:
        raise RegistryError(
            f"evaluation.judge asks for the classifier {name}: {reason}. `make run TASK={name}` registers one"
        )
    return version
