"""Episodes in which a model acts; an example is where one begins, and the physics that it goes by."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import ConfigError, DataError
from closedloop.tasks.base import Baseline, Finding, Preprocessor, read_fitted
from closedloop.tasks.control.cartpole import OBSERVATION, PHYSICS, SCALE, by_hand, play, with_columns
from closedloop.tasks.control.request import ObservationPreprocessor

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params

# Factors by severity 1 to 5.
POLE_LENGTH = (1.3, 1.7, 2.2, 3.0, 4.0)  # a longer pole falls more slowly, and answers a push more slowly
GRAVITY = (1.3, 1.7, 2.2, 3.0, 4.0)
SCENARIOS = {"pole_length": POLE_LENGTH, "gravity": GRAVITY}


class Control:
    """Episodes of CartPole-v1."""

    takes_missing = False

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the source's parts; raises DataError when a file is missing, or its columns are others."""
        import pandas as pd
        import pyarrow as pa

        from closedloop.data.examples import ID, LABEL, PART

        tables = []
        for part in params.source.format.parts:
            file = raw / part.files[0]
            try:
                frame = pd.read_csv(file, dtype=np.float64)
            except (OSError, ValueError) as error:
                raise DataError(f"{file} cannot be read ({error}); run `dvc repro` from acquire on") from None
            columns = {str(name): frame[name].to_numpy() for name in frame}
            if list(columns) != [*OBSERVATION, *PHYSICS]:
                needed = ", ".join((*OBSERVATION, *PHYSICS))
                raise DataError(f"{file} has the columns {', '.join(columns)}; {needed} are needed")
            aside = {ID: [f"{part.split}/{row}" for row in range(len(frame))], PART: [part.split] * len(frame)}
            labels = pa.array([""] * len(frame), pa.string())
            tables.append(pa.table({**aside, LABEL: labels, **columns}))
        return pa.concat_tables(tables)

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        columns = [examples.column(name).to_numpy() for name in (*OBSERVATION, *PHYSICS)]
        rows = np.stack(columns, axis=1).astype("<f8") + 0.0  # 0 and -0 are the same
        digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:  # noqa: ARG002
        """Whether each episode begins within bounds, with physics that can be."""
        from closedloop.data.examples import ID

        start = np.abs(np.stack([examples.column(name).to_numpy() for name in OBSERVATION], axis=1))
        physics = np.stack([examples.column(name).to_numpy() for name in PHYSICS], axis=1)
        wrong = np.flatnonzero(~((start < SCALE).all(axis=1) & (physics > 0).all(axis=1)))
        return [
            Finding(
                check="starts",
                passed=not len(wrong),
                found=f"{len(wrong)} of {examples.num_rows} episodes begin where they end, or with impossible physics",
                allowed=f"{', '.join(OBSERVATION)} within {', '.join(f'{bound:g}' for bound in SCALE)}; "
                f"{' and '.join(PHYSICS)} above 0",
                examples=tuple(examples.column(ID).take(wrong[:10]).to_pylist()),
            )
        ]

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:  # noqa: ARG002
        return ObservationPreprocessor()

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        return ObservationPreprocessor(**read_fitted(folder))

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:  # noqa: ARG002
        """What a rule brings in that pushes to the side to which the pole falls; its rows are returns."""
        return Baseline("a rule by hand", play(by_hand, examples, params.evaluation.seed).returns[:, None])

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        frame: pd.DataFrame = examples.select(OBSERVATION).to_pandas()
        return frame

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":  # noqa: ARG002
        """The same episodes with other physics; raises ConfigError for an unknown scenario or severity."""
        if scenario == "none":
            return examples
        if scenario not in SCENARIOS:
            raise ConfigError(f"traffic.scenario must be one of none, {', '.join(SCENARIOS)}, not {scenario!r}")
        if severity not in range(1, 6):
            raise ConfigError(f"traffic.severity must be from 1 to 5, not {severity}")
        factor = SCENARIOS[scenario][severity - 1]
        return with_columns(examples, {scenario: examples.column(scenario).to_numpy() * factor})

    def look(self, examples: "pa.Table", row: int) -> str:
        values: dict[str, Any] = examples.slice(row, 1).select([*OBSERVATION, *PHYSICS]).to_pylist()[0]
        return "\n".join(f"{name}: {value:.4g}" for name, value in values.items())


TASK = Control()
