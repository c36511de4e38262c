"""Writes tests/data/imresize.json: what MATLAB's imresize(rgb, [height width]) gives for 8-bit RGB.

An implementation of the rule of imresize.m (bicubic, antialiasing on) with NumPy. It is independent
of src/image/imresize.rs: it pads the picture with its mirror image, evaluates the kernel in the form
that imresize.m has, and multiplies by a dense matrix for each axis. A value in the middle between two
levels would be rounded by the order of the additions, which MATLAB does not document; sizes with such
values, which are rare, are refused here.

    python tools/imresize.py > tests/data/imresize.json
"""

import json
import math

import numpy as np


def levels(count):
    """Levels without pattern, as in the tests of src/image/resize.rs."""
    i = np.arange(count, dtype=np.uint64)
    return ((i * i * 37 + i * 11) % 256).astype(np.uint8)


def cubic(x):
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((1 < x) & (x <= 2))


def matrix(old, new):
    """The matrix [new][old] of one pass."""
    scale = new / old
    h, kernel_width = cubic, 4.0
    if scale < 1:
        h, kernel_width = (lambda x: scale * cubic(scale * x)), 4.0 / scale
    u = np.arange(1, new + 1) / scale + 0.5 * (1 - 1 / scale)
    reach = math.ceil(kernel_width) + 2
    # Place p, from 1 - reach to old + reach, is a mirrored pixel: the sequence 1..old, old..1 repeats.
    places = np.arange(1 - 2 * reach, old + 2 * reach + 1)
    both = np.concatenate([np.arange(old), np.arange(old)[::-1]])
    weights = h(u[:, None] - places[None, :])
    weights /= weights.sum(axis=1, keepdims=True)
    folded = np.zeros((new, old))
    for column, place in enumerate(places):
        folded[:, both[(place - 1) % (2 * old)]] += weights[:, column]
    return folded


def round_to_levels(values):
    values = np.clip(values, 0, 255)
    middle = np.abs(values - np.floor(values) - 0.5)
    assert (middle > 1e-9).all(), "a level in the middle between two others"
    return np.floor(values + 0.5).astype(np.uint8)


def imresize(rgb, size):
    scales = [new / old for new, old in zip(size, rgb.shape)]
    # sort() of imresize.m is stable.
    for axis in sorted(range(2), key=lambda axis: scales[axis]):
        pass_ = matrix(rgb.shape[axis], size[axis])
        rgb = round_to_levels(np.moveaxis(np.tensordot(pass_, rgb.astype(float), (1, axis)), 0, axis))
    return rgb


def digest(rgb):
    """d = (d * 31 + level) % 2**32, from 0."""
    d = 0
    for level in rgb.reshape(-1).tolist():
        d = (d * 31 + level) % 2**32
    return d


def case(old, new):
    resized = imresize(levels(old[0] * old[1] * 3).reshape(*old, 3), new)
    whole = resized.reshape(-1).tolist()
    return {"from": old, "to": new, "digest": digest(resized), "levels": whole[:60]}


CASES = [
    ([5, 7], [3, 4]),  # both shrink
    ([7, 5], [4, 3]),
    ([3, 5], [7, 11]),  # both grow
    ([5, 13], [9, 6]),  # one grows, one shrinks
    ([13, 5], [6, 9]),
    ([9, 10], [9, 7]),  # one stays
    ([9, 9], [5, 9]),
    ([11, 11], [7, 7]),  # equal ratios
    ([9, 9], [9, 9]),
    ([1, 9], [3, 4]),  # sides of one pixel
    ([9, 1], [4, 3]),
    ([1, 1], [3, 5]),
    ([5, 7], [1, 1]),
    ([1, 300], [224, 224]),
    ([97, 61], [224, 224]),
    ([177, 284], [224, 224]),
    ([500, 357], [224, 224]),
    ([301, 451], [224, 224]),
    ([640, 427], [224, 224]),
    ([483, 645], [224, 224]),
]

if __name__ == "__main__":
    lines = [json.dumps(case(old, new)) for old, new in CASES]
    print("[\n" + ",\n".join(lines) + "\n]")
