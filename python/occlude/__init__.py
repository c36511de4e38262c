"""GoogLeNet that explains its classifications by occlusion sensitivity.

    import occlude

    net = occlude.GoogLeNet()
    maps = net.explain("cat.jpg", classes="top3")
    maps.plot()

A mask slides over the picture. Where the score of a class falls, the mask covers evidence for it.
"""

from ._maps import Curves, Interactions, Maps, Metrics, Pair, Part, Region, Robust
from ._network import Check, Checks, Class, GoogLeNet, GradCam, Rise
from ._occlude import ImageError, LabelsError, WeightsError, __version__

__all__ = [
    "Check",
    "Checks",
    "Class",
    "Curves",
    "GoogLeNet",
    "GradCam",
    "ImageError",
    "Interactions",
    "LabelsError",
    "Maps",
    "Metrics",
    "Pair",
    "Part",
    "Region",
    "Rise",
    "Robust",
    "WeightsError",
    "__version__",
]
