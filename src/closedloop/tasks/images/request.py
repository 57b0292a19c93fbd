"""Images in Arrow tables and in requests."""

import base64
import io
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.data.array_columns import to_array, to_column
from closedloop.tasks.images.pictures import Fit, fitted, to_levels

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE = "image"
PNG_SLACK = 8192  # bytes of a PNG besides its pixels: a palette, a colour profile
MOST_PIXELS = 16_000_000  # of an image in a request that is brought to size
PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@dataclass(frozen=True)
class Form:
    """The images that a model takes, and what becomes of one of another size: nothing, it is refused, without `fit`."""

    height: int
    width: int
    channels: int = 1
    fit: Fit | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)

    def wanted(self, height: int, width: int) -> str:
        """Which rows of pixels are expected."""
        pixel = "pixels from 0 to 255" if self.channels == 1 else "pixels, each [red, green, blue] from 0 to 255"
        return f"{height} rows of {width} {pixel}"


def pixels(examples: "pa.Table") -> NDArray[np.uint8]:
    """The images of a table of examples, grey (N, H, W) or in colour (N, H, W, 3)."""
    return to_array(examples.column(IMAGE))


def with_pixels(examples: "pa.Table", images: NDArray[np.uint8]) -> "pa.Table":
    """The same examples with other images."""
    return examples.set_column(examples.schema.get_field_index(IMAGE), IMAGE, to_column(images))


def image_schema(form: Form) -> dict[str, Any]:
    """The JSON schema of an image in a request."""
    pixel: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 255}
    grey = form.channels == 1
    if not grey:
        pixel = {"type": "array", "minItems": 3, "maxItems": 3, "items": pixel}
    exact = form.fit is None
    width = {"minItems": form.width, "maxItems": form.width} if exact else {"minItems": 1}
    height = {"minItems": form.height, "maxItems": form.height} if exact else {"minItems": 1}
    range_ = "from 0 (black) to 255 (white)" if grey else "[red, green, blue], each from 0 to 255"
    other = "" if exact else f" One of another size is brought to it ({form.fit})."
    return {
        "description": f"A {'grey' if grey else 'colour'} image, {form.height} rows of {form.width} pixels "
        f"{range_}.{other}",
        "anyOf": [
            {"title": "rows", "type": "array", **height, "items": {"type": "array", **width, "items": pixel}},
            {
                "title": "PNG",
                "description": f"a PNG{' of that size' if exact else ''} in base64"
                + ("; colours become grey" if grey else "; alpha is left out"),
                "type": "string",
                "format": "base64-png",
                "contentEncoding": "base64",
                "contentMediaType": "image/png",
            },
        ],
    }


def decode_image(value: Any, form: Form) -> NDArray[np.uint8]:
    """A request's image, as nested lists of 0..255 or as base64 PNG, in the form's shape.

    Raises ValueError that says what is wrong without repeating the content.
    """
    image = _decode_png(value, form) if isinstance(value, str) else _decode_rows(value, form)
    return image if form.fit is None else fitted(image, (form.height, form.width), form.fit)


def _decode_rows(value: Any, form: Form) -> NDArray[np.uint8]:
    height, width = form.height, form.width
    if form.fit and isinstance(value, list | np.ndarray) and len(value) and isinstance(value[0], list | np.ndarray):
        height, width = len(value), len(value[0])
        _refuse_size(height, width)
    quick = _decode_quickly(value, height, width, form.channels)
    return _decode_slowly(value, height, width, form) if quick is None else quick


def _refuse_size(height: int, width: int) -> None:
    if not 0 < height * width <= MOST_PIXELS:
        raise ValueError(
            f"the image has {height} rows of {width} pixels; at least one and at most {MOST_PIXELS:,} in all"
        )


def _decode_quickly(value: Any, height: int, width: int, channels: int) -> NDArray[np.uint8] | None:
    """Lists of plain integers in range, 5 times as fast as NumPy reads them; None for everything else."""
    if type(value) is not list or len(value) != height:
        return None
    flat: list[Any] = []
    for row in value:
        if type(row) is not list or len(row) != width:
            return None
        flat += row
    if channels > 1:
        if set(map(type, flat)) != {list} or set(map(len, flat)) != {channels}:
            return None
        flat = list(chain.from_iterable(flat))
    if set(map(type, flat)) != {int}:  # bool is not an int here
        return None
    try:
        image = np.frombuffer(bytes(flat), np.uint8)
    except ValueError:
        return None
    return image.reshape((height, width) if channels == 1 else (height, width, channels))


def _decode_slowly(value: Any, height: int, width: int, form: Form) -> NDArray[np.uint8]:
    """Whole numbers of any kind, and the precise reason where there is something else."""
    rows = _lists(value)
    size = "" if form.fit else " of that size"
    expected = f"expected {form.wanted(height, width)}, or a base64 PNG{size}"
    if not isinstance(rows, list):
        raise ValueError(expected)
    if len(rows) != height:
        raise ValueError(f"{expected}; found {len(rows)} rows")
    for y, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            found = f"has {len(row)} pixels" if isinstance(row, list) else "is no list"
            raise ValueError(f"{expected}; row {y} {found}")
        for x, pixel in enumerate(row):
            if form.channels == 1:
                if not _whole(pixel):
                    raise ValueError(f"row {y}, pixel {x} is no whole number from 0 to 255")
            elif not isinstance(pixel, list) or len(pixel) != form.channels or not all(map(_whole, pixel)):
                raise ValueError(f"row {y}, pixel {x} is no list of {form.channels} whole numbers from 0 to 255")
    return np.array(rows, np.uint8)


def _lists(value: Any) -> Any:
    """Arrays as lists, also arrays of arrays, as a table of requests holds them."""
    if isinstance(value, np.ndarray):
        return [_lists(one) for one in value] if value.dtype == object else value.tolist()
    return value


def _whole(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and value % 1 == 0 and 0 <= value <= 255


def _decode_png(value: str, form: Form) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = form.height, form.width
    try:
        content = _without_metadata(base64.b64decode(value, validate=True))
        picture = Image.open(io.BytesIO(content), formats=["PNG"])  # reads the head alone
    except Exception:  # a decoder of hostile bytes raises what it likes
        raise ValueError("not a base64-encoded PNG image") from None
    with picture:
        if form.fit:
            _refuse_size(picture.height, picture.width)
        elif picture.size != (width, height):  # before any pixel is unpacked
            raise ValueError(
                f"expected {height} rows of {width} pixels, the PNG has {picture.height} of {picture.width}"
            )
        # four channels of 16 bits; it is kept in the log as it came
        most = picture.height * (8 * picture.width + 1) + PNG_SLACK
        if len(value) > -(-most // 3) * 4:
            raise ValueError(f"the PNG is larger than {most:,} bytes: leave out what is not pixels")
        try:
            return to_levels(picture, form.channels)
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
    """An image, grey (H, W) or in colour (H, W, 3), as base64 PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
