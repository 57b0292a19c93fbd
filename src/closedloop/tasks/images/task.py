"""Images, grey or in colour, to which a class belongs or which are imitated."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from closedloop.data.array_columns import to_column
from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.tasks.base import Arrays, BadRecord, Baseline, Finding, Preprocessor, read_fitted
from closedloop.tasks.images.generator import GeneratorPreprocessor
from closedloop.tasks.images.pictures import Fit
from closedloop.tasks.images.request import IMAGE, Form, decode_image, encode_png, image_schema, pixels

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params
    from closedloop.tasks.schema import Idx, Noise, Pictures


NEIGHBOURS, SMOOTHING = 3, 0.1  # of the baseline


@dataclass(frozen=True)
class ImagePreprocessor:
    """Scales pixels to mean 0 and deviation 1 over the training split, each channel by itself."""

    height: int
    width: int
    mean: float | list[float]  # of pixel / 255, over the training split; one a channel in colour
    std: float | list[float]
    fit: Fit | None = None  # what becomes of a request of another size; without it, it is refused

    @cached_property
    def form(self) -> Form:
        return Form(self.height, self.width, np.size(self.mean), self.fit)

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Images (N, H, W) or (N, H, W, 3) of 0..255 -> standardised (N, channels, H, W)."""
        images = pixels(examples)
        if images.shape[1:] != self.form.shape:
            raise DataError(f"images are {images.shape[1:]}, the model takes {self.form.shape}")
        return {"inputs": self._standardised(images)}

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return {"inputs": self._standardised(self._images(records))}

    def _standardised(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.form.channels == 1:
            return self._levels[0][images][:, None]
        return np.stack([levels[images[..., channel]] for channel, levels in enumerate(self._levels)], axis=1)

    @cached_property
    def _levels(self) -> list[NDArray[np.float32]]:
        """One value for each of the 256 levels of each channel: exact, and no temporary arrays."""
        pairs = zip(np.atleast_1d(self.mean), np.atleast_1d(self.std), strict=True)
        return [((np.arange(256) / 255 - mean) / std).astype(np.float32) for mean, std in pairs]

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {IMAGE: image_schema(self.form)},
            "required": [IMAGE],
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        image = np.zeros(self.form.shape, np.uint8)
        image[self.height // 8 : -(self.height // 8) or None, self.width * 2 // 5 : self.width * 3 // 5] = 255  # a bar
        return {IMAGE: encode_png(image)}  # as rows it would fill screens

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"image": rows of 0..255 or base64 PNG}, …] -> examples."""
        import pyarrow as pa

        return pa.table({IMAGE: to_column(self._images(records))})

    def _images(self, records: list[dict[str, Any]]) -> NDArray[np.uint8]:
        """(N, H, W), or (N, H, W, 3)"""
        images = np.empty((len(records), *self.form.shape), np.uint8)
        for row, record in enumerate(records):
            if not isinstance(record, dict) or record.keys() != {IMAGE}:
                raise BadRecord(row, "", f"expected an object with exactly one field, {IMAGE!r}")
            try:
                images[row] = decode_image(record[IMAGE], self.form)
            except ValueError as error:
                raise BadRecord(row, IMAGE, str(error)) from None
        return images

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{IMAGE: image.tolist()} for image in pixels(examples)]

    def save(self, folder: Path) -> None:
        content = {name: value for name, value in asdict(self).items() if value is not None}
        write_json(folder / "preprocessor.json", {"kind": "images", **content})


class Images:
    """Images in a folder a class, in arrays or in IDX files; one label each."""

    takes_missing = False

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the source's parts; raises DataError when a file is missing or broken, or images do not fit together."""
        from closedloop.tasks.images.raw import read_examples

        return read_examples(raw, params)

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        from closedloop.data.examples import slices

        def digests(images: NDArray[np.uint8]) -> bytes:
            return b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)

        found = b"".join(digests(pixels(part)) for part in slices(examples))
        return np.frombuffer(found, "<u8").astype(np.uint64)

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """Values out of range, a scale that does not fit, and blank images: a scanner's cap, a failed decode."""
        from closedloop.data.examples import ID, slices
        from closedloop.tasks.images.raw import unreadable

        extremes = [_extremes(pixels(part)) for part in slices(examples)]
        lowest, highest = (np.concatenate(found) for found in zip(*extremes, strict=True))
        blank, highest = np.flatnonzero((lowest == highest).all(axis=1)), highest.max(axis=1)
        beyond = np.flatnonzero(highest > 255)
        limits, scale = params.validation, _format(params).pixel_max
        key = " (source.format.pixel_max)" if params.source.format.name == "idx" else ""
        faults, files = unreadable(examples)
        largest = round(int(highest.max()) * scale / 255)  # as in the raw files

        def ids(rows: NDArray[np.intp]) -> tuple[str, ...]:
            return tuple(examples.column(ID).take(rows[:10]).to_pylist())

        folder = Finding(
            check="unreadable files",
            passed=len(faults) <= limits.max_unreadable_share * files,
            found=f"{len(faults)} of {files} files cannot be used",
            allowed=f"a share of at most {limits.max_unreadable_share} (validation.max_unreadable_share)",
            examples=tuple(f"{name} {fault}" for name, fault in list(faults.items())[:10]),
        )
        return [
            *([folder] if params.source.format.name == "image_folder" else []),
            Finding(
                check="value range",
                passed=not len(beyond),
                found=f"{len(beyond)} of {examples.num_rows} images exceed {scale}; the largest value is {largest}",
                allowed=f"values from 0 to {scale}{key}",
                examples=ids(beyond),
            ),
            Finding(
                check="value scale",
                passed=largest >= limits.min_value_range * scale,
                found=f"the brightest pixel of all is {largest}",
                allowed=f"at least {limits.min_value_range} (validation.min_value_range) of {scale}{key}",
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
        """Mean and deviation of all pixels of the training split, in each channel.

        Raises DataError when every pixel is the same, as nothing can be learnt then.
        """
        from closedloop.data.examples import slices

        first = pixels(train.slice(0, 1))
        if first.dtype != np.uint8:
            raise DataError("pixels are larger than source.format.pixel_max allows; see the validate stage")
        form = Form(first.shape[1], first.shape[2], 1 if first.ndim == 3 else first.shape[3], _format(params).fit_to)
        counts = np.zeros((form.channels, 256), np.int64)
        for part in slices(train):
            counts += _counts(pixels(part).reshape(-1, form.channels))
        means, deviations = (list(found) for found in zip(*map(_moments, counts), strict=True))
        if not max(deviations):
            raise DataError("all pixels of the training split are equal: there is nothing to learn from")
        deviations = [deviation or 1.0 for deviation in deviations]  # an empty channel among others stays empty
        if params.task.target == "image":
            wanted = cast("Noise", params.preprocess.features)
            return GeneratorPreprocessor(
                form.height, form.width, form.channels, wanted.size, wanted.max_count, form.fit
            )
        mean, deviation = (means, deviations) if form.channels > 1 else (means[0], deviations[0])
        return ImagePreprocessor(form.height, form.width, mean, deviation, form.fit)

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        content = read_fitted(folder)
        return GeneratorPreprocessor(**content) if "noise" in content else ImagePreprocessor(**content)

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        """The votes of the nearest training images, by the Euclidean distance of their pixels (Cover and Hart, 1967).

        Votes are smoothed as Laplace did, so that no class is taken for impossible. Where images are made, it makes
        some by a mixture of Gaussians: its rows are their pixels.
        """
        from sklearn.neighbors import KNeighborsClassifier

        from closedloop.data.examples import labels

        if params.task.target == "image":
            from closedloop.tasks.images.mixture import made_by_mixture

            return made_by_mixture(pixels(train), examples.num_rows, params.evaluation.seed)

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


def _extremes(images: NDArray[np.unsignedinteger[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest value of each image in each channel, (N, channels)."""
    flat = images.reshape(len(images), images.shape[1] * images.shape[2], -1)
    return flat.min(axis=1), flat.max(axis=1)


def _counts(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each of the 256 levels (N, channels) stands in each channel: exact, whatever the order of a sum."""
    return np.stack([np.bincount(channel, minlength=256) for channel in levels.T])


def _moments(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and deviation of level / 255."""
    shares = np.arange(256) / 255
    mean = float(counts @ shares / counts.sum())
    return mean, float(np.sqrt(counts @ (shares - mean) ** 2 / counts.sum()))


def _format(params: "Params") -> "Idx | Pictures":
    return cast("Idx | Pictures", params.source.format)  # the configuration has seen to it


TASK = Images()
