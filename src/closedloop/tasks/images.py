"""Grey images in Arrow tables and in requests."""

import base64
import binascii
import io
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.errors import DataError

IMAGE = "image"


def column(images: NDArray[np.unsignedinteger[Any]]) -> pa.Array:
    """Images (N, H, W) as a column of nested lists, without a copy per pixel."""
    _, height, width = images.shape
    flat = pa.array(np.ascontiguousarray(images).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(flat, width), height)


def pixels(examples: pa.Table) -> NDArray[np.uint8]:
    """The images (N, H, W) of a table of examples."""
    chunks = examples.column(IMAGE).combine_chunks()
    kind = chunks.type
    height, width = kind.list_size, kind.value_type.list_size
    flat = chunks.flatten().flatten().to_numpy(zero_copy_only=False)
    images: NDArray[np.uint8] = flat.reshape(-1, height, width)
    return images


def with_pixels(examples: pa.Table, images: NDArray[np.uint8]) -> pa.Table:
    """The same examples with other images."""
    return examples.set_column(examples.schema.get_field_index(IMAGE), IMAGE, column(images))


def decode_image(value: Any, height: int, width: int, where: str) -> NDArray[np.uint8]:
    """A request's image, as nested lists of 0..255 or as base64 PNG, of exactly the expected size.

    Raises DataError that says which field is wrong and why, without repeating its content.
    """
    image = _decode_png(value, where) if isinstance(value, str) else _decode_lists(value, where)
    if image.shape != (height, width):
        raise DataError(f"{where}: expected {height} rows of {width} pixels, got an array of shape {image.shape}")
    return image


def _decode_lists(value: Any, where: str) -> NDArray[np.uint8]:
    try:
        image = np.asarray(value)
    except ValueError:
        raise DataError(f"{where}: rows of unequal length") from None
    if image.size == 0 or image.dtype.kind not in "iuf":
        raise DataError(f"{where}: expected rows of numbers from 0 to 255, or a base64 PNG")
    if not np.all(np.isfinite(image)) or image.min() < 0 or image.max() > 255 or np.any(image != np.floor(image)):
        raise DataError(f"{where}: pixels must be whole numbers from 0 to 255")
    return image.astype(np.uint8)


def _decode_png(value: str, where: str) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        content = base64.b64decode(value, validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.width * picture.height > 4096 * 4096:  # before any pixel is unpacked
                raise DataError(f"{where}: the picture is larger than 4096 x 4096")
            return np.asarray(picture.convert("L"))
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise DataError(f"{where}: not a base64-encoded PNG image") from None


def encode_png(image: NDArray[np.uint8]) -> str:
    """A grey image (H, W) as base64 PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
