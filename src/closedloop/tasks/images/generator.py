"""The transform of a generator of images: real ones to be judged, and noise that others are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.data.array_columns import to_column
from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.tasks.base import Arrays, BadRecord, Step, left_out, read_number, refuse_excess
from closedloop.tasks.images.pictures import Fit
from closedloop.tasks.images.request import IMAGE, Form, decode_image, encode_png, image_schema, pixels

if TYPE_CHECKING:
    import pyarrow as pa

SEED, COUNT, IMAGES = "seed", "count", "images"
LARGEST_SEED = 2**32 - 1
AT_ONCE = 16  # images that are made in one run of the model
INPUTS, NOISE, MADE = "inputs", "noise", "made"  # of the model


@dataclass(frozen=True)
class Wish:
    """What a request asks for."""

    image: NDArray[np.uint8] | None  # to be judged
    seed: int
    count: int  # images that are to be made


@dataclass(frozen=True)
class GeneratorPreprocessor:
    """Pixels as numbers from -1 to 1; each image that is made has noise of its own, by seed and place."""

    height: int
    width: int
    channels: int
    noise: int  # numbers that an image is made of
    max_count: int
    fit: Fit | None = None  # what becomes of a request's image of another size; without it, it is refused

    @cached_property
    def form(self) -> Form:
        return Form(self.height, self.width, self.channels, self.fit)

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Images (N, H, W) or (N, H, W, 3) of 0..255 -> (N, channels, H, W) of -1..1."""
        images = pixels(examples)
        if images.shape[1:] != self.form.shape:
            raise DataError(f"images are {images.shape[1:]}, the model takes {self.form.shape}")
        return {INPUTS: self._scaled(images)}

    def _scaled(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        first = images[:, None] if self.channels == 1 else images.transpose(0, 3, 1, 2)
        return (first / np.float32(127.5) - 1).astype(np.float32)

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        """The image of the request, or noise for those that it asks for: what there is, is judged."""
        wishes = self.wishes(records)
        images = [wish.image for wish in wishes if wish.image is not None]
        if len(images) == len(wishes):
            return {INPUTS: self._scaled(np.stack(images))}
        return {NOISE: np.concatenate([self._drawn(wish) for wish in wishes if wish.image is None])}

    def _drawn(self, wish: Wish) -> NDArray[np.float32]:
        """The noise of each image by its place, so that the first ones are the same however many are asked for."""
        rows = [np.random.default_rng((wish.seed, place)).standard_normal(self.noise) for place in range(wish.count)]
        return np.stack(rows).astype(np.float32)

    @property
    def pieces(self) -> int:
        return 1  # image

    def told(self, pieces: Sequence[str]) -> dict[str, Any]:
        return {IMAGES: list(pieces)}

    def refuse_excess(self, records: list[dict[str, Any]]) -> None:
        refuse_excess([wish.count for wish in self.wishes(records)], self.max_count, COUNT, IMAGES)

    def write(self, record: dict[str, Any], step: Step) -> Iterator[str]:
        """The images that the request asks for, as base64 PNG."""
        wish = self._wish(0, record)
        return (encode_png(image) for image in self._made(wish, step)) if wish.count else iter(())

    def _made(self, wish: Wish, step: Step) -> Iterator[NDArray[np.uint8]]:
        noise = self._drawn(wish)
        for start in range(0, len(noise), AT_ONCE):
            yield from self.images(noise[start : start + AT_ONCE], step)

    def images(self, noise: NDArray[np.float32], step: Step) -> NDArray[np.uint8]:
        """Noise (N, noise) -> images (N, H, W) or (N, H, W, 3) of 0..255."""
        levels = np.rint((step({NOISE: noise})[MADE] + 1) * 127.5)
        made = np.clip(levels, 0, 255).astype(np.uint8)
        return made[:, 0] if self.channels == 1 else made.transpose(0, 2, 3, 1)

    def wishes(self, records: list[dict[str, Any]]) -> list[Wish]:
        """Requests, checked; raises BadRecord."""
        return [self._wish(row, record) for row, record in enumerate(records)]

    def _wish(self, row: int, record: Any) -> Wish:
        if not isinstance(record, dict):
            raise BadRecord(row, "", "expected an object")
        if [name for name in record if name not in (IMAGE, SEED, COUNT)]:
            raise BadRecord(row, "", f"expected no other fields than {SEED}, {COUNT} and {IMAGE}")
        image, given = None, record.get(IMAGE)
        if not left_out(given):
            try:
                image = decode_image(given, self.form)
            except ValueError as error:
                raise BadRecord(row, IMAGE, str(error)) from None
        seed = int(read_number(row, record, SEED, 0, high=LARGEST_SEED, whole=True))
        count = int(read_number(row, record, COUNT, 1, high=self.max_count, whole=True))
        if not count and image is None:
            raise BadRecord(row, COUNT, f"at least one image is made, or one judged that is sent as {IMAGE}")
        return Wish(image, seed, count)

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                SEED: {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": LARGEST_SEED,
                    "default": 0,
                    "description": "Of the noise: the same seed gives the same images.",
                },
                COUNT: {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": self.max_count,
                    "default": 1,
                    "description": "Images to make; 0 with an image alone, which is then judged and nothing else.",
                },
                IMAGE: {**image_schema(self.form), "title": "an image whose realism is to be judged"},
            },
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        return {SEED: 1, COUNT: min(4, self.max_count)}

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """Requests with images to be judged -> examples; of others what they ask for."""
        import pyarrow as pa

        wishes = self.wishes(records)
        images = [wish.image for wish in wishes if wish.image is not None]
        if len(images) == len(wishes):
            return pa.table({IMAGE: to_column(np.stack(images))})
        return pa.table({SEED: [wish.seed for wish in wishes], COUNT: [wish.count for wish in wishes]})

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{IMAGE: image.tolist(), SEED: 0, COUNT: 1} for image in pixels(examples)]

    def save(self, folder: Path) -> None:
        content = {name: value for name, value in asdict(self).items() if value is not None}
        write_json(folder / "preprocessor.json", {"kind": "images", **content})
