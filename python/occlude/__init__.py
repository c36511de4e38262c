"""GoogLeNet that explains its classifications by occlusion sensitivity.

    import occlude

    net = occlude.GoogLeNet()
    maps = net.explain("cat.jpg", classes="top3")
    maps.plot()

A mask slides over the picture. Where the score of a class falls, the mask covers evidence for it.
"""

from ._maps import Curves, Maps, Part, Region
from ._network import Class, GoogLeNet, GradCam
from ._occlude import ImageError, LabelsError, WeightsError, __version__

__all__ = [
    "Class",
    "Curves",
    "GoogLeNet",
    "GradCam",
    "ImageError",
    "LabelsError",
    "Maps",
    "Part",
    "Region",
    "WeightsError",
    "__version__",
]
