"""Occlusion maps for the metrics of Quantus.

    from occlude.quantus import Explain

    metric = quantus.PixelFlipping()
    metric(model, x_batch, y_batch, explain_func=Explain(net, mask_size=45, stride=22))

The maps come from `net`; `model` is the same network in the form that Quantus needs for its scores. Quantus itself
is not needed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ._network import GoogLeNet
from .captum import Occlusion

Size = Union[int, Sequence[int]]


class Explain:
    """A function that Quantus takes as `explain_func`.

    `mask_size`, `stride`: pixels, or (height, width).
    `baseline`: the value in the mask, in the units of the tensors.
    `score`: "probability" or "logit".
    """

    def __init__(
        self,
        net: GoogLeNet,
        *,
        mask_size: Size = 45,
        stride: Size = 22,
        baseline: float = 0.0,
        score: str = "probability",
    ) -> None:
        self._occlusion = Occlusion(net, score=score)
        self._window, self._strides = ((3, *np.broadcast_to(size, 2).tolist()) for size in (mask_size, stride))
        self._baseline = baseline

    def __call__(self, model: Any, inputs: Any, targets: Any, **_: Any) -> NDArray[np.float32]:
        """Attributions `(n, 1, 224, 224)` of tensors `(n, 3, 224, 224)` for one class each.

        `model` and further arguments, such as `device`, have no effect.
        """
        found = self._occlusion.attribute(
            np.asarray(inputs), self._window, self._strides, self._baseline, np.asarray(targets)
        )
        # All channels have the same value.
        return np.asarray(found)[:, :1]
