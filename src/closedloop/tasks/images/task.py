"""Classification of grey images of one size."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from closedloop.data.idx import read_idx
from closedloop.errors import DataError
from closedloop.files import read_json, write_json
from closedloop.tasks.base import Arrays, BadRecord, Baseline, Finding, Preprocessor
from closedloop.tasks.images.request import IMAGE, column, decode_image, encode_png, image_schema, pixels

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params
    from closedloop.tasks.schema import Idx, IdxPart


NEIGHBOURS, SMOOTHING = 3, 0.1  # of the baseline


@dataclass(frozen=True)
class ImagePreprocessor:
    """Scales pixels to mean 0 and deviation 1 over the training split."""

    classes: list[str]
    height: int
    width: int
    mean: float  # of pixel / 255, over the training split
    std: float

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Images (N, H, W) of 0..255 -> standardised (N, 1, H, W)."""
        images = pixels(examples)
        if images.shape[1:] != (self.height, self.width):
            raise DataError(f"images are {images.shape[1:]}, the model takes {(self.height, self.width)}")
        return {"inputs": self._levels[images][:, None]}

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return {"inputs": self._levels[self._images(records)][:, None]}

    @cached_property
    def _levels(self) -> NDArray[np.float32]:
        """One value for each of the 256 grey levels: exact, and no temporary arrays."""
        return ((np.arange(256) / 255 - self.mean) / self.std).astype(np.float32)

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {IMAGE: image_schema(self.height, self.width)},
            "required": [IMAGE],
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        image = np.zeros((self.height, self.width), np.uint8)
        image[self.height // 8 : -(self.height // 8) or None, self.width * 2 // 5 : self.width * 3 // 5] = 255  # a bar
        return {IMAGE: encode_png(image)}  # as rows it would fill screens

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"image": rows of 0..255 or base64 PNG}, …] -> examples."""
        import pyarrow as pa

        return pa.table({IMAGE: column(self._images(records))})

    def _images(self, records: list[dict[str, Any]]) -> NDArray[np.uint8]:
        """(N, H, W)"""
        images = np.empty((len(records), self.height, self.width), np.uint8)
        for row, record in enumerate(records):
            if not isinstance(record, dict) or record.keys() != {IMAGE}:
                raise BadRecord(row, "", f"expected an object with exactly one field, {IMAGE!r}")
            try:
                images[row] = decode_image(record[IMAGE], self.height, self.width)
            except ValueError as error:
                raise BadRecord(row, IMAGE, str(error)) from None
        return images

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{IMAGE: image.tolist()} for image in pixels(examples)]

    def save(self, folder: Path) -> None:
        write_json(folder / "preprocessor.json", {"kind": "images", **asdict(self)})


class Images:
    """Images in IDX files, one label each."""

    takes_missing = False

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the source's parts; pixels are stretched so that pixel_max becomes 255, labels become class names.

        Values above pixel_max become larger than 255, in a wider type, and label bytes without a class get a name that
        is none: `examine` and validation report them. Raises DataError when a file is missing or broken, images and
        labels differ in number, or parts in image size.
        """
        import pyarrow as pa

        from closedloop.data.examples import ID, LABEL, PART

        parts = [(part, *self._read_part(raw, part)) for part in _format(params).parts]
        sizes = {f"{part.images} {images.shape[1]}x{images.shape[2]}" for part, images, _ in parts}
        if len({images.shape[1:] for _, images, _ in parts}) > 1:
            raise DataError(f"images must be of one size in all parts, found {', '.join(sorted(sizes))}")
        scale = _format(params).pixel_max
        in_range = all(images.max(initial=0) <= scale for _, images, _ in parts)
        exact = np.round(np.arange(scale + 1 if in_range else 256) * 255 / scale)  # one for each raw value
        kind: type[np.unsignedinteger[Any]] = np.uint8 if in_range else np.uint16
        levels = exact.astype(kind)
        names = [f"(byte {code})" for code in range(256)]
        names[: len(params.task.classes)] = params.task.classes
        return pa.concat_tables(
            pa.table(
                {
                    ID: pa.array([f"{part.split}-{row:06d}" for row in range(len(images))], pa.string()),
                    PART: pa.array([part.split] * len(images), pa.string()),
                    IMAGE: column(levels[images]),
                    LABEL: pa.array([names[code] for code in labels.tolist()], pa.string()),
                }
            )
            for part, images, labels in parts
        )

    def _read_part(self, raw: Path, part: "IdxPart") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = read_idx(raw / part.images), read_idx(raw / part.labels)
        if images.ndim != 3 or labels.ndim != 1:
            found = f"found {images.ndim} and {labels.ndim}"
            raise DataError(f"{raw / part.images} must have 3 dimensions and {raw / part.labels} 1, {found}")
        if len(images) != len(labels):
            raise DataError(
                f"{raw / part.images} has {len(images)} images, {raw / part.labels} has {len(labels)} labels"
            )
        if 0 in images.shape[1:]:
            raise DataError(f"{raw / part.images} holds images without pixels: {images.shape[1]}x{images.shape[2]}")
        return images, labels

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        digests = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in pixels(examples)]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """Values out of range, a scale that does not fit, and blank images: a scanner's cap, a failed decode."""
        from closedloop.data.examples import ID

        flat = pixels(examples).reshape(examples.num_rows, -1)
        lowest, highest = flat.min(axis=1), flat.max(axis=1)
        beyond, blank = np.flatnonzero(highest > 255), np.flatnonzero(lowest == highest)
        limits, scale = params.validation, _format(params).pixel_max
        largest = round(int(highest.max()) * scale / 255)  # as in the raw files

        def ids(rows: NDArray[np.intp]) -> tuple[str, ...]:
            return tuple(examples.column(ID).take(rows[:10]).to_pylist())

        return [
            Finding(
                check="value range",
                passed=not len(beyond),
                found=f"{len(beyond)} of {examples.num_rows} images exceed {scale}; the largest value is {largest}",
                allowed=f"values from 0 to {scale} (source.format.pixel_max)",
                examples=ids(beyond),
            ),
            Finding(
                check="value scale",
                passed=largest >= limits.min_value_range * scale,
                found=f"the brightest pixel of all is {largest}",
                allowed=f"at least {limits.min_value_range} (validation.min_value_range) of {scale} "
                "(source.format.pixel_max)",
            ),
            Finding(
                check="blank images",
                passed=len(blank) <= limits.max_blank_share * examples.num_rows,
                found=f"{len(blank)} of {examples.num_rows} have a single value everywhere",
                allowed=f"a share of at most {limits.max_blank_share} (validation.max_blank_share)",
                examples=ids(blank),
            ),
        ]

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:
        """Mean and deviation of all pixels of the training split.

        Raises DataError when every pixel is the same, as nothing can be learnt then.
        """
        images = pixels(train)
        if images.dtype != np.uint8:
            raise DataError("pixels are larger than source.format.pixel_max allows; see the validate stage")
        counts = np.bincount(images.reshape(-1), minlength=256)  # exact, whatever the order of the sum
        levels = np.arange(256) / 255
        mean = float(counts @ levels / counts.sum())
        std = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
        if std == 0:
            raise DataError("all pixels of the training split are equal: there is nothing to learn from")
        return ImagePreprocessor(params.task.classes, images.shape[1], images.shape[2], mean, std)

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        content = read_json(folder / "preprocessor.json")
        content.pop("kind")
        return ImagePreprocessor(**content)

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        """The votes of the nearest training images, by the Euclidean distance of their pixels (Cover and Hart, 1967).

        Votes are smoothed as Laplace did, so that no class is taken for impossible.
        """
        from sklearn.neighbors import KNeighborsClassifier

        from closedloop.data.examples import labels

        def flat(table: "pa.Table") -> NDArray[np.float32]:
            return pixels(table).reshape(table.num_rows, -1).astype(np.float32)

        neighbours = min(NEIGHBOURS, train.num_rows)
        model = KNeighborsClassifier(neighbours, algorithm="brute").fit(flat(train), labels(train))
        votes = np.zeros((examples.num_rows, len(params.task.classes)))
        columns = [params.task.classes.index(name) for name in model.classes_]
        votes[:, columns] = model.predict_proba(flat(examples)) * neighbours
        smoothed = (votes + SMOOTHING) / (neighbours + SMOOTHING * votes.shape[1])
        return Baseline(f"{neighbours} nearest neighbours", smoothed)

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        from closedloop.tasks.images.descriptors import describe

        return describe(pixels(examples))

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":
        from closedloop.tasks.images.shifts import shift

        return shift(examples, scenario, severity, rng)

    def look(self, examples: "pa.Table", row: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = pixels(examples.slice(row, 1))[0]
        return image


def _format(params: "Params") -> "Idx":
    return cast("Idx", params.source.format)  # the configuration has seen to it


TASK = Images()
