"""Small tables for tests."""

import pyarrow as pa

from closedloop.tasks.tables.preprocessor import Category, Number, TablePreprocessor

PREPROCESSOR = TablePreprocessor(
    numbers=[
        Number("age", [10.0, 20.0, 40.0], [-1.0, 0.0, 1.0], median=20.0, gaps=False),
        Number("gain", [0.0, 5.0], [-0.5, 1.5], median=0.0, gaps=True),
    ],
    categories=[Category("work", ["Private", "State"]), Category("sex", ["F", "M"])],
    missing=["", "?"],
    typical={"work": "Private", "sex": "M"},
)


def rows(count: int) -> pa.Table:
    """Examples with gaps in both kinds of columns; the label follows from the fields."""
    codes = range(count)
    return pa.table(
        {
            "id": [f"all-{row:06d}" for row in codes],
            "part": ["all"] * count,
            "age": pa.array([None if row % 11 == 0 else float(20 + row % 37) for row in codes], pa.float64()),
            "gain": pa.array([float(row % 5 == 0) * (row % 91) for row in codes], pa.float64()),
            "work": pa.array([None if row % 13 == 0 else ("Private", "State", "Self")[row % 3] for row in codes]),
            "sex": ["F" if row % 2 else "M" for row in codes],
            "label": ["yes" if (row % 37 > 18) != (row % 3 == 0) else "no" for row in codes],
        }
    )
