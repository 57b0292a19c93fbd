"""Arrays of one shape a row, such as images, as Arrow columns of nested lists; what lies in one piece is not copied."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the server answers without it
    import pyarrow as pa


def to_column(array: NDArray[Any]) -> "pa.Array":
    """(N, …) -> a column of N nested lists."""
    import pyarrow as pa

    nested = pa.array(np.ascontiguousarray(array).reshape(-1))
    for length in reversed(array.shape[1:]):
        nested = pa.FixedSizeListArray.from_arrays(nested, length)
    return nested


def to_array(column: "pa.Array | pa.ChunkedArray") -> NDArray[Any]:
    """A column of nested lists -> (N, …)."""
    import pyarrow as pa

    flat = column
    if isinstance(column, pa.ChunkedArray):  # a single chunk would be copied as well
        flat = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    while pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    array: NDArray[Any] = flat.to_numpy(zero_copy_only=False).reshape(-1, *shape_of(column.type))
    return array


def shape_of(kind: "pa.DataType") -> tuple[int, ...]:
    """The shape of a row of nested lists of this type; () for other types."""
    import pyarrow as pa

    return (kind.list_size, *shape_of(kind.value_type)) if pa.types.is_fixed_size_list(kind) else ()
