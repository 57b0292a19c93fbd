"""Images side by side in one picture."""

import numpy as np

from closedloop.tasks.images.pictures import LINE, tiled


def test_images_stand_in_their_order_with_lines_between() -> None:
    images = np.arange(4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(3, 2)
    upper, line, lower = [0] * 3 + [LINE] + [1] * 3, [LINE] * 7, [2] * 3 + [LINE] + [3] * 3
    assert tiled(images, 2).tolist() == [upper, upper, line, lower, lower]


def test_a_row_that_is_not_full_is_left_out_and_one_alone_is_shown() -> None:
    images = np.zeros((7, 2, 3, 3), np.uint8)
    assert tiled(images, 3).shape == (2 + 1 + 2, 3 * 3 + 2, 3)
    assert tiled(images[:2], 3).shape == (2, 2 * 3 + 1, 3)
