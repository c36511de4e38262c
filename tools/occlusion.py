"""Prepares pictures for the network, and makes masked copies. Needs only numpy."""
import numpy as np
from PIL import Image

from network import INPUT_SIDE, MEAN_BGR

BATCH = 16


def open_picture(path):
    """The picture as [224][224][3] u8 RGB, stretched to this size."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BICUBIC))


def network_input(rgb):
    """Converts [224][224][3] u8 RGB to [3][224][224] float64, BGR minus mean."""
    bgr = rgb[:, :, ::-1].astype(np.float64) - MEAN_BGR
    return np.ascontiguousarray(bgr.transpose(2, 0, 1))


def grid(stride):
    """The number of mask centres down and across. The centres are 0, stride, 2 stride, ... in the
    picture."""
    return tuple(-(-INPUT_SIDE // step) for step in stride)


def masked_batches(data, mask, stride, value):
    """The masked copies, row by row of the grid, in batches of at most BATCH. `value` has one
    number per channel. A mask covers the `size` pixels from `size // 2` before its centre that lie
    in the picture."""
    (height, width), (down, across) = mask, stride
    batch = []
    for top in (row - height // 2 for row in range(0, INPUT_SIDE, down)):
        for left in (column - width // 2 for column in range(0, INPUT_SIDE, across)):
            copy = data.copy()
            copy[:, max(top, 0) : top + height, max(left, 0) : left + width] = np.reshape(value, (3, 1, 1))
            batch.append(copy)
            if len(batch) == BATCH:
                yield np.stack(batch)
                batch = []
    if batch:
        yield np.stack(batch)
