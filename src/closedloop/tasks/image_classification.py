"""Classification of grey images of one size."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART
from closedloop.data.idx import read_idx
from closedloop.errors import DataError
from closedloop.files import read_json, write_json
from closedloop.tasks.base import Finding, Preprocessor
from closedloop.tasks.images import IMAGE, column, decode_image, pixels


@dataclass(frozen=True)
class ImagePreprocessor:
    """Scales pixels to mean 0 and deviation 1 over the training split."""

    classes: list[str]
    height: int
    width: int
    mean: float  # of pixel / 255, over the training split
    std: float

    def transform(self, examples: pa.Table) -> NDArray[np.float32]:
        """Images (N, H, W) of 0..255 -> standardised (N, 1, H, W)."""
        images = pixels(examples)
        if images.shape[1:] != (self.height, self.width):
            raise DataError(f"images are {images.shape[1:]}, the model takes {(self.height, self.width)}")
        # one value for each of the 256 grey levels: exact, and no temporary arrays
        levels = ((np.arange(256) / 255 - self.mean) / self.std).astype(np.float32)
        return levels[images][:, None]

    def decode(self, records: list[dict[str, Any]]) -> pa.Table:
        """[{"image": rows of 0..255 or base64 PNG}, …] -> examples."""
        images = []
        for row, record in enumerate(records):
            if not isinstance(record, dict) or set(record) != {IMAGE}:
                raise DataError(f"record {row}: expected exactly one field, {IMAGE!r}")
            images.append(decode_image(record[IMAGE], self.height, self.width, f"record {row}, field {IMAGE!r}"))
        stacked = np.stack(images) if images else np.zeros((0, self.height, self.width), np.uint8)
        return pa.table({IMAGE: column(stacked)})

    def encode(self, examples: pa.Table) -> list[dict[str, Any]]:
        return [{IMAGE: image.tolist()} for image in pixels(examples)]

    def save(self, folder: Path) -> None:
        write_json(folder / "preprocessor.json", {"kind": "image_classification", **asdict(self)})


class ImageClassification:
    """Images in IDX files, one label each."""

    def read(self, raw: Path, params: Params) -> pa.Table:
        """Read the source's parts; pixels are stretched to 0..255, labels become class names.

        Raises DataError when a file is missing or broken, or images and labels differ in number.
        """
        return pa.concat_tables(self._read_part(raw, params, part) for part in params.source.parts)

    def _read_part(self, raw: Path, params: Params, part: Any) -> pa.Table:
        images, labels = read_idx(raw / part.images), read_idx(raw / part.labels)
        if images.ndim != 3 or labels.ndim != 1:
            found = f"found {images.ndim} and {labels.ndim}"
            raise DataError(f"{part.images} must have 3 dimensions and {part.labels} 1, {found}")
        if len(images) != len(labels):
            raise DataError(f"{part.images} has {len(images)} images, {part.labels} has {len(labels)} labels")
        scale = params.source.pixel_max
        # values above pixel_max stay above: 255 marks them for the range check only when the scale is not 255
        levels = np.clip(np.round(np.arange(256) * 255 / scale), 0, 255).astype(np.uint8)
        names = [*params.task.classes, *(str(code) for code in range(len(params.task.classes), 256))]
        return pa.table(
            {
                ID: [f"{part.split}-{row:06d}" for row in range(len(images))],
                PART: pa.array([part.split] * len(images), pa.string()),
                IMAGE: column(levels[images]),
                LABEL: pa.array([names[code] for code in labels.tolist()], pa.string()),
            }
        )

    def fingerprints(self, examples: pa.Table) -> NDArray[np.uint64]:
        digests = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in pixels(examples)]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)

    def examine(self, examples: pa.Table, params: Params) -> list[Finding]:
        """Blank images (one value only): a scanner's cap, a failed decode."""
        flat = pixels(examples).reshape(examples.num_rows, -1)
        blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
        limit = params.validation.max_blank_share
        ids = examples.column(ID)
        return [
            Finding(
                check="blank images",
                passed=len(blank) <= limit * examples.num_rows,
                found=f"{len(blank)} of {examples.num_rows} have a single value everywhere",
                allowed=f"a share of at most {limit} (validation.max_blank_share)",
                examples=tuple(ids[int(row)].as_py() for row in blank[:10]),
            )
        ]

    def fit(self, train: pa.Table, params: Params) -> Preprocessor:
        """Mean and deviation of all pixels of the training split.

        Raises DataError when every pixel is the same, as nothing can be learnt then.
        """
        images = pixels(train)
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

    def describe(self, examples: pa.Table) -> pd.DataFrame:
        from closedloop.tasks.image_descriptors import describe

        return describe(pixels(examples))

    def shift(self, examples: pa.Table, scenario: str, severity: int, rng: np.random.Generator) -> pa.Table:
        from closedloop.tasks.image_shifts import shift

        return shift(examples, scenario, severity, rng)

    def picture(self, examples: pa.Table, row: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = pixels(examples.slice(row, 1))[0]
        return image
