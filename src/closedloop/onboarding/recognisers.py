"""The forms of data that `new` can look at; a further form is a further Recogniser in the list."""

from pathlib import Path

from closedloop.errors import ConfigError, DataError
from closedloop.onboarding.arrays import Arrays
from closedloop.onboarding.idx import IdxFiles
from closedloop.onboarding.images import Images
from closedloop.onboarding.plain_text import PlainText
from closedloop.onboarding.proposal import Recogniser
from closedloop.onboarding.sounds import Sounds
from closedloop.onboarding.tables import Tables
from closedloop.onboarding.texts import Texts

# the first one that knows the data is asked
RECOGNISERS: list[Recogniser] = [Sounds(), Images(), IdxFiles(), Arrays(), Tables(), PlainText(), Texts()]


def recognise(path: Path) -> Recogniser:
    """The recogniser of a file or folder; raises an error that lists the forms when there is none."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist: FROM must be a file or a folder on this machine")
    for one in RECOGNISERS:
        if one.recognises(path):
            return one
    forms = "\n".join(f"  - {one.form}" for one in RECOGNISERS)
    raise DataError(
        f"{path} is in no form that can be looked at. These are:\n{forms}\n"
        'Other data: write conf/task/<name>.yaml by hand, as "Your own data" in README.md has it'
    )
