"""Captum's `Occlusion` with this package's sweep: the same arguments, the same attributions, much sooner.

    from occlude.captum import Occlusion

    x = net.input("cat.jpg")
    attributions = Occlusion(net).attribute(x, target=285, sliding_window_shapes=(3, 45, 45), strides=(3, 22, 22))

Captum itself is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from ._network import GoogLeNet, is_probability, tensor_bytes
from ._occlude import INPUT_SIDE, MEAN_BGR

_CHANNELS = 3
_SHAPE = (_CHANNELS, INPUT_SIDE, INPUT_SIDE)


class Occlusion:
    """Attributions of a network's `score`: "probability" or "logit"."""

    def __init__(self, net: GoogLeNet, *, score: str = "probability") -> None:
        is_probability(score)
        self.net, self.score = net, score

    def attribute(
        self,
        inputs: Any,
        sliding_window_shapes: Sequence[int],
        strides: Union[None, int, Sequence[int]] = None,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """For each value of `inputs`, the mean fall of the score over all windows that cover it.

        `inputs`: tensors as `net.input` makes them, `(n, 3, 224, 224)`, of NumPy or PyTorch; the result is of
        the same kind and shape.
        `sliding_window_shapes`: channels, height and width of the window.
        `strides`: its steps, at most its size; one number for all three; by default 1.
        `baselines`: the values in the window: a number, or values in the shape of the inputs or of one of them;
        by default 0, the mean colour of ImageNet.
        `target`: the class, or one for each tensor.
        The last three arguments are Captum's and change nothing.

        Windows over all channels with one colour as baseline take a sweep; others take a pass each.
        """
        del additional_forward_args, perturbations_per_eval, show_progress
        values = np.asarray(inputs.detach().cpu() if hasattr(inputs, "detach") else inputs)
        if values.ndim != 4 or values.shape[1:] != _SHAPE:
            raise ValueError(f"inputs have the shape {values.shape}, expected (n, 3, 224, 224)")
        window = _triple("sliding_window_shapes", sliding_window_shapes)
        step = _triple("strides", 1 if strides is None else strides)
        for axis, (size, stride, whole) in enumerate(zip(window, step, _SHAPE)):
            if not 1 <= size <= whole:
                raise ValueError(f"sliding_window_shapes[{axis}] is {size}, expected 1 to {whole}")
            # A stride along an axis that the window fills has no effect.
            if stride < 1 or stride > size < whole:
                raise ValueError(f"strides[{axis}] is {stride}, expected 1 to {size}, the size of the window")
        if hasattr(baselines, "detach"):
            baselines = baselines.detach().cpu()
        baseline = np.broadcast_to(0 if baselines is None else np.asarray(baselines, np.float32), values.shape)
        targets = _targets(target, len(values))
        found = np.empty(values.shape, np.float32)
        for i, index in enumerate(targets):
            found[i] = self._one(values[i], index, window, step, baseline[i])
        if hasattr(inputs, "detach"):
            import torch

            return torch.from_numpy(found).to(inputs.device)
        return found

    def _one(
        self,
        values: NDArray[Any],
        target: int,
        window: tuple[int, int, int],
        step: tuple[int, int, int],
        baseline: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The attributions of one tensor, `(3, 224, 224)`."""
        colour = baseline[:, 0, 0]
        is_colour = bool((baseline == colour[:, np.newaxis, np.newaxis]).all())
        if window[0] == _CHANNELS and is_colour:
            drops = self._swept(values, target, window[1:], step[1:], colour)
        else:
            drops = self._passed(values, target, window, step, baseline)
        sums, counts = np.zeros(_SHAPE), np.zeros(_SHAPE)
        for place, drop in drops:
            sums[place] += drop
            counts[place] += 1
        return (sums / counts).astype(np.float32)

    def _swept(
        self, values: NDArray[Any], target: int, window: tuple[int, ...], step: tuple[int, ...], colour: NDArray[Any]
    ) -> Iterator[tuple[Any, float]]:
        """The windows and the falls of the score, by sweeps."""
        data = tensor_bytes(values[np.newaxis])
        rgb = tuple((colour + np.asarray(MEAN_BGR, np.float32))[::-1].tolist())
        rows, columns = (_groups(*pair) for pair in zip(window, step))
        for height, down, y0, y1 in rows:
            for width, across, x0, x1 in columns:
                base, scores, rects = self.net._network.sweep(
                    data, target, (height, width), (down, across), rgb, (y0, x0, y1, x1), self.score
                )
                for score, (top, left, bottom, right) in zip(np.asarray(scores), np.asarray(rects)):
                    yield (slice(None), slice(top, bottom), slice(left, right)), base - float(score)

    def _passed(
        self,
        values: NDArray[Any],
        target: int,
        window: tuple[int, ...],
        step: tuple[int, ...],
        baseline: NDArray[np.float32],
    ) -> Iterator[tuple[Any, float]]:
        """The windows and the falls of the score, by a pass for each window."""

        def score(tensor: NDArray[Any]) -> float:
            return float(self.net.predict(tensor[np.newaxis], score=self.score)[0, target])

        base = score(values)
        counts = [_count(*lengths) for lengths in zip(_SHAPE, window, step)]
        for at in np.ndindex(*counts):
            place = tuple(slice(i * stride, i * stride + size) for i, stride, size in zip(at, step, window))
            masked = values.copy()
            masked[place] = baseline[place]
            yield place, base - score(masked)


def _count(whole: int, size: int, stride: int) -> int:
    """The number of windows along an axis. The last one is cut off where it does not fit."""
    return -(-(whole - size) // stride) + 1


def _groups(size: int, stride: int) -> list[tuple[int, int, int, int]]:
    """The sweeps that have the windows along an axis: size, stride, and the part for the centres."""
    groups = [(size, stride, 0, INPUT_SIDE)]
    start = (_count(INPUT_SIDE, size, stride) - 1) * stride
    if start + size > INPUT_SIDE:
        # The second of two masks inside the picture, the first of which begins at its border.
        rest = INPUT_SIDE - start
        groups.append((rest, start, start + rest // 2, start + rest // 2 + 1))
    return groups


def _triple(name: str, value: Any) -> tuple[int, int, int]:
    """Captum takes a tuple for each tensor, or one alone, or a number."""
    if isinstance(value, (int, np.integer)):
        return (int(value),) * 3
    if len(value) == 1 and not isinstance(value[0], (int, np.integer)):
        value = value[0]
    if len(value) != 3:
        raise ValueError(f"{name} is {value}, expected channels, height and width")
    channels, height, width = (int(part) for part in value)
    return channels, height, width


def _targets(target: Any, count: int) -> list[int]:
    if target is None:
        raise ValueError("target is None, expected the index of a class, or one for each tensor")
    found = np.asarray(target.detach().cpu() if hasattr(target, "detach") else target)
    if found.dtype.kind not in "iu" or found.ndim > 1 or found.ndim == 1 and len(found) not in (1, count):
        raise ValueError(f"target is {target}, expected the index of a class, or one for each of {count} tensors")
    if (found < 0).any():
        raise ValueError(f"target is {target}, expected indices of classes, from 0")
    return [int(index) for index in np.broadcast_to(found, (count,))]
