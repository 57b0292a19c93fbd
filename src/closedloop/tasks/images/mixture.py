"""Images drawn from a mixture of Gaussians of their principal components: what a generator has to beat."""

import numpy as np
from numpy.typing import NDArray

from closedloop.tasks.base import Baseline

COMPONENTS, GAUSSIANS = 64, 20
FITTED = 10_000  # training images: more of them change little, and take long


def made_by_mixture(images: NDArray[np.uint8], count: int, seed: int) -> Baseline:
    """Fit the mixture to images (N, …), and draw `count` images, as pixels of 0..255 (count, pixels).

    Richardson and Weiss, "On GANs and GMMs", 2018: such a mixture draws blurred images, and leaves no mode out.
    """
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(seed)
    chosen = images[rng.permutation(len(images))[:FITTED]].reshape(-1, images[0].size).astype(np.float64)
    reduced = PCA(min(COMPONENTS, *chosen.shape), random_state=seed).fit(chosen)
    gaussians = min(GAUSSIANS, len(chosen) // 20 or 1)
    mixture = GaussianMixture(gaussians, reg_covar=1e-3 * float(reduced.explained_variance_[0]), random_state=seed)
    drawn, _ = mixture.fit(reduced.transform(chosen)).sample(count)
    pixels = np.clip(np.rint(reduced.inverse_transform(rng.permutation(drawn))), 0, 255)
    return Baseline(f"a mixture of {gaussians} Gaussians of principal components", pixels)
