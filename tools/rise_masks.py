"""The masks of RISE as the authors' program makes them (github.com/eclique/RISE, `generate_masks` in
explanations.py), from the random numbers of this project. Prints some values for `tests/engine/rise.rs`.

    pip install numpy scikit-image
    python tools/rise_masks.py
"""
import numpy as np
from skimage.transform import resize

from seeded import splitmix64

SIDE = 224


def mask(seed, index, rows, columns, probability):
    """How far each pixel is visible, [224][224]."""
    own = splitmix64(seed, index + 1)[index]
    numbers = splitmix64(own, rows * columns + 2)
    grid = (numbers[: rows * columns] >> np.uint64(40)).astype(np.float64) / 2**24 < probability
    cell = np.ceil(SIDE / np.array([rows, columns])).astype(int)
    up_size = (np.array([rows, columns]) + 1) * cell
    x, y = (int(number) * int(side) >> 64 for number, side in zip(numbers[-2:], cell))
    enlarged = resize(grid.reshape(rows, columns).astype(np.float64), up_size, order=1, mode="reflect", anti_aliasing=False)
    return enlarged[x : x + SIDE, y : y + SIDE]


for seed, index, rows, columns, probability in [(1, 0, 7, 7, 0.5), (1, 3, 7, 7, 0.5), (9, 2, 4, 11, 0.3)]:
    found = mask(seed, index, rows, columns, probability)
    places = [(0, 0), (0, 223), (223, 0), (223, 223), (100, 37), (150, 201)]
    print((seed, index, [rows, columns], probability), [round(float(found[place]), 6) for place in places])
