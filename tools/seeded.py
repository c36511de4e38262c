"""The seeded network and its picture. The numbers equal those of `src/weights/seeded.rs` and
`tests/common/mod.rs`, bit for bit. `src/weights/seeded.rs` gives the reasons for the numbers."""
import numpy as np

from network import INPUT_SIDE, layers

GAIN = 1.1
CLASSIFIER_GAIN = 0.06
BIAS_BOUND = 1.0


def mix(z):
    """The output function of splitmix64, for an array of u64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def splitmix64(seed, count):
    """The first `count` numbers of the generator that starts at `seed`."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return mix(np.uint64(seed) + steps)


def integers(seed, count):
    """The first `count` numbers as integers in -2^23 .. 2^23."""
    return (splitmix64(seed, count) >> np.uint64(40)).astype(np.int64) - 2**23


def weights(seed):
    """All tensors by name, as float32."""
    weighted = [layer for layer in layers() if layer.shape]
    tensor_seeds = iter(splitmix64(seed, 2 * len(weighted)))
    tensors = {}
    for layer in weighted:
        fan_in = int(np.prod(layer.shape[1:]))
        gain = CLASSIFIER_GAIN if layer.op == "classifier" else GAIN
        bound = np.float32(gain * np.sqrt(6.0 / fan_in))
        filters = integers(next(tensor_seeds), layer.shape[0] * fan_in).reshape(-1, fan_in)
        filters -= filters.sum(axis=1, keepdims=True) // (2 * fan_in)  # rounded down
        scale = np.float32(2.0**-23)
        tensors[layer.name + ".weight"] = (filters.astype(np.float32) * (bound * scale)).reshape(layer.shape)
        bias = integers(next(tensor_seeds), layer.shape[0]).astype(np.float32)
        tensors[layer.name + ".bias"] = bias * (np.float32(BIAS_BOUND) * scale)
    return tensors


def picture():
    """A picture by formula, [224][224][3] u8 in RGB order: rings, a saddle and a chequered xor
    pattern."""
    y, x = np.mgrid[0:INPUT_SIDE, 0:INPUT_SIDE]
    red = (x * x + y * y) // 64 % 256
    green = ((x - 150) ** 2 + (y - 90) ** 2) // 37 % 256
    blue = ((x ^ y) + (x // 32 + y // 32) % 2 * 24) % 256
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)
