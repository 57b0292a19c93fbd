"""Pictures of any mode and size -> levels in the form that a model takes: the same code for files and for requests."""

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Levels = NDArray[np.uint8]  # (H, W) grey, or (H, W, 3) red, green, blue
Fit = Literal["pad", "crop", "stretch"]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF")
MOST_PIXELS = 50_000_000  # of one file; a few kB can promise a thousand times as many
GREY = ("1", "L", "LA", "La")  # modes of Pillow; those of 16 bits besides
LINE = 96  # level of what parts two images
COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")


def read_picture(content: bytes) -> Levels:
    """The bytes of a file as levels, upright as EXIF says it; of several frames the first.

    Raises ValueError that says what is wrong, before any pixel is unpacked where there are too many of them.
    """
    import warnings

    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
        try:
            picture = Image.open(io.BytesIO(content), formats=FORMATS)  # reads the head alone
        except Image.DecompressionBombError:
            raise ValueError(f"has more than {MOST_PIXELS:,} pixels") from None
        except Exception:  # a decoder of hostile bytes raises what it likes
            raise ValueError(f"is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image") from None
    with picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"has {picture.height} x {picture.width} pixels, more than {MOST_PIXELS:,}")
        refuse_mode(picture)
        try:
            picture.load()
            return to_levels(ImageOps.exif_transpose(picture))
        except Exception:
            raise ValueError("is truncated or damaged") from None


def refuse_mode(picture: "Image.Image") -> None:
    """Raise ValueError for a picture whose values have no scale."""
    if picture.mode not in (*GREY, *COLOUR) and not picture.mode.startswith("I;16"):
        raise ValueError(f"has pixels of mode {picture.mode}, which say no level of white; save it with 8 or 16 bits")


def to_levels(picture: "Image.Image", channels: int | None = None) -> Levels:
    """A picture as levels of 1 or 3 channels, by default as it is; alpha is left out, of 16 bits the upper 8 stay."""
    if channels is None:
        channels = 1 if picture.mode in GREY or picture.mode.startswith("I;16") else 3
    if picture.mode.startswith("I;16"):  # Pillow itself would make all levels above 255 white
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return to_channels(grey, grey=True, channels=channels)
    return np.asarray(picture.convert("L" if channels == 1 else "RGB"))


def has_colour(images: Levels) -> bool:
    """Whether any pixel (…, 3) is other than grey."""
    return bool((images != images[..., :1]).any())


def to_channels(images: Levels, grey: bool, channels: int) -> Levels:
    """Images (…, H, W) when `grey`, else (…, H, W, 3), in 1 or 3 channels."""
    if grey == (channels == 1):
        return images
    return luminance(images) if channels == 1 else np.repeat(images[..., None], 3, axis=-1)


def luminance(images: Levels) -> Levels:
    """Red, green and blue (…, 3) -> grey, as Pillow rounds the weights of ITU-R BT.601."""
    weighted = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def fitted(image: Levels, size: tuple[int, int], fit: Fit) -> Levels:
    """An image brought to a size (height, width): padded with black, cropped around its centre, or stretched.

    Raises ValueError when nothing would be left of its shorter side.
    """
    from PIL import Image, ImageOps

    height, width = size
    if image.shape[:2] == size:
        return image
    picture, method = Image.fromarray(image), Image.Resampling.BILINEAR  # it smoothes where pixels get fewer
    try:
        match fit:
            case "pad":
                changed = ImageOps.pad(picture, (width, height), method)
            case "crop":
                changed = ImageOps.fit(picture, (width, height), method)
            case "stretch":
                changed = picture.resize((width, height), method)
    except ValueError:
        raise ValueError(
            f"of {image.shape[0]} x {image.shape[1]} pixels nothing is left in {height} x {width}"
        ) from None
    return np.asarray(changed)


def tiled(images: Levels, columns: int) -> Levels:
    """Images (N, H, W, …) in whole rows of so many, as one, with a grey line between neighbours."""
    line = max(1, images.shape[1] // 16)
    edge = [(0, 0), (0, line), (0, line), *[(0, 0)] * (images.ndim - 3)]
    framed = np.pad(images[: len(images) // columns * columns or len(images)], edge, constant_values=LINE)
    rows = [np.concatenate(list(framed[at : at + columns]), axis=1) for at in range(0, len(framed), columns)]
    return np.concatenate(rows)[:-line, :-line]
