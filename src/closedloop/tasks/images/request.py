"""Grey images in Arrow tables and in requests."""

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE = "image"
PNG_SLACK = 8192  # bytes of a PNG besides its pixels: a palette, a colour profile
PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def column(images: NDArray[np.unsignedinteger[Any]]) -> "pa.Array":
    """Images (N, H, W) as a column of nested lists, without a copy per pixel."""
    import pyarrow as pa

    _, height, width = images.shape
    flat = pa.array(np.ascontiguousarray(images).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(flat, width), height)


def pixels(examples: "pa.Table") -> NDArray[np.uint8]:
    """The images (N, H, W) of a table of examples."""
    chunks = examples.column(IMAGE).combine_chunks()
    kind = chunks.type
    height, width = kind.list_size, kind.value_type.list_size
    flat = chunks.flatten().flatten().to_numpy(zero_copy_only=False)
    images: NDArray[np.uint8] = flat.reshape(-1, height, width)
    return images


def with_pixels(examples: "pa.Table", images: NDArray[np.uint8]) -> "pa.Table":
    """The same examples with other images."""
    return examples.set_column(examples.schema.get_field_index(IMAGE), IMAGE, column(images))


def image_schema(height: int, width: int) -> dict[str, Any]:
    """The JSON schema of an image in a request."""
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    row = {"type": "array", "minItems": width, "maxItems": width, "items": pixel}
    return {
        "description": f"A grey image, {height} rows of {width} pixels from 0 (black) to 255 (white).",
        "anyOf": [
            {"title": "rows", "type": "array", "minItems": height, "maxItems": height, "items": row},
            {
                "title": "PNG",
                "description": "a PNG of that size in base64; colours become grey",
                "type": "string",
                "format": "base64-png",
                "contentEncoding": "base64",
                "contentMediaType": "image/png",
            },
        ],
    }


def decode_image(value: Any, height: int, width: int) -> NDArray[np.uint8]:
    """A request's image, as nested lists of 0..255 or as base64 PNG, of exactly the expected size.

    Raises ValueError that says what is wrong without repeating the content.
    """
    if isinstance(value, str):
        return _decode_png(value, height, width)
    quick = _decode_quickly(value, height, width)
    return _decode_slowly(value, height, width) if quick is None else quick


def _decode_quickly(value: Any, height: int, width: int) -> NDArray[np.uint8] | None:
    """Lists of plain integers in range, 5 times as fast as NumPy reads them; None for everything else."""
    if type(value) is not list or len(value) != height:
        return None
    flat: list[Any] = []
    for row in value:
        if type(row) is not list or len(row) != width:
            return None
        flat += row
    if set(map(type, flat)) != {int}:  # bool is not an int here
        return None
    try:
        return np.frombuffer(bytes(flat), np.uint8).reshape(height, width)
    except ValueError:
        return None


def _decode_slowly(value: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Whole numbers of any kind, and the precise reason where there is something else."""
    rows = value.tolist() if isinstance(value, np.ndarray) else value
    expected = f"expected {height} rows of {width} pixels from 0 to 255, or a base64 PNG of that size"
    if not isinstance(rows, list):
        raise ValueError(expected)
    if len(rows) != height:
        raise ValueError(f"{expected}; found {len(rows)} rows")
    for y, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            found = f"has {len(row)} pixels" if isinstance(row, list) else "is no list"
            raise ValueError(f"{expected}; row {y} {found}")
        for x, pixel in enumerate(row):
            whole = isinstance(pixel, int | float) and not isinstance(pixel, bool) and pixel % 1 == 0
            if not whole or not 0 <= pixel <= 255:
                raise ValueError(f"row {y}, pixel {x} is no whole number from 0 to 255")
    return np.array(rows, np.uint8)


def _decode_png(value: str, height: int, width: int) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        content = _without_metadata(base64.b64decode(value, validate=True))
        picture = Image.open(io.BytesIO(content), formats=["PNG"])  # reads the head alone
    except Exception:  # a decoder of hostile bytes raises what it likes
        raise ValueError("not a base64-encoded PNG image") from None
    with picture:
        if picture.size != (width, height):  # before any pixel is unpacked
            raise ValueError(
                f"expected {height} rows of {width} pixels, the PNG has {picture.height} of {picture.width}"
            )
        most = height * (8 * width + 1) + PNG_SLACK  # four channels of 16 bits; it is kept in the log as it came
        if len(value) > -(-most // 3) * 4:
            raise ValueError(f"the PNG is larger than {most:,} bytes: leave out what is not pixels")
        try:
            return np.asarray(picture.convert("L"))
        except Exception:
            raise ValueError("the PNG is damaged") from None


def _without_metadata(png: bytes) -> bytes:
    """The signature and the chunks that make up the pixels: a few kB of text inflate to many MB, which nobody reads."""
    kept, start = [png[:8]], 8
    while start < len(png):
        length = int.from_bytes(png[start : start + 4])
        end = start + length + 12  # its length, its name, a checksum
        if png[start + 4 : start + 8] in PNG_PIXELS:
            kept.append(png[start:end])
        start = end
    return b"".join(kept)


def encode_png(image: NDArray[np.uint8]) -> str:
    """A grey image (H, W) as base64 PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
