"""The result of a sweep."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

from ._options import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ._occlude import Explanation

    Box = Sequence[float]
    Boxes = Union[Sequence[Box], Mapping[int, Sequence[Box]]]


class Curves(NamedTuple):
    """The scores of a class while its pixels are covered (deletion) and uncovered (insertion)."""

    #: "occlusion" or "grad-cam": the map that orders the pixels.
    method: str
    class_index: int
    #: Shares of the pixels, `(steps,)`, float32.
    shares: NDArray[np.float32]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]
    #: The areas under both curves, 0 to 1 for a probability: a good map has a small and a large one.
    deletion_area: float
    insertion_area: float


class Metrics(NamedTuple):
    """Measures of a map, those of `occlude batch --metrics --boxes`."""

    #: "occlusion" or "grad-cam": the method that made the map.
    method: str
    class_index: int
    #: The areas under the curves of `Curves`.
    deletion_area: float
    insertion_area: float
    #: How unevenly the magnitudes are distributed: their Gini index, from 0 (all the same) to nearly 1.
    sparseness: float
    #: The share of the probability that is lost where only the evidence is seen, 0 to 1. Its mean over photographs
    #: is the average drop.
    confidence_drop: float
    #: True if the probability is larger there.
    confidence_rises: bool
    #: The pointing game: True if the strongest place is in a box or near it. None without boxes.
    pointing: Optional[bool]
    #: The intersection over union of the box around the evidence with the best box, 0 to 1. None without boxes.
    iou: Optional[float]


class Pair(NamedTuple):
    """Two places that are covered together."""

    #: Their indices in `Interactions.places`.
    places: tuple[int, int]
    #: What the sum of the single drops misses.
    missed: float
    #: The Shapley-Taylor interaction index.
    index: float


class Interactions(NamedTuple):
    """The strongest places of a map, covered in every combination."""

    class_index: int
    #: The centres of the masks, row and column, `(places, 2)`.
    places: NDArray[np.int64]
    #: The drops of the places, each covered alone, `(places,)`.
    drops: NDArray[np.float32]
    #: The scores of all combinations, `(2 ** places,)`: bit `i` of the index is set where place `i` is covered.
    scores: NDArray[np.float32]
    pairs: list[Pair]


class Robust(NamedTuple):
    """The maps of a class with several masks, combined."""

    class_index: int
    #: The mean of the maps, each divided by its largest magnitude, `(ny, nx)`, -1 to 1.
    mean: NDArray[np.float32]
    #: The number of maps that have the sign of the mean, `(ny, nx)`.
    agreeing: NDArray[np.int64]
    #: The least number that counts as agreement, four fifths of the maps.
    needed: int
    #: The share of the positions that have it, 0 to 1.
    agreement: float
    #: Row and column of the centre of the strongest place, and the number of maps in which it is among the strongest
    #: tenth; None if no value of the mean is positive.
    strongest: Optional[tuple[int, int, int]]
    #: The maps, `(maps, ny, nx)`.
    maps: NDArray[np.float32]
    #: The height and width of the mask of each map, `(maps, 2)`.
    mask_sizes: NDArray[np.int64]
    #: The fill of each map: (red, green, blue), or a name.
    mask_values: list[Any]
    #: Pearson's correlation of each map with the mean, -1 to 1, `(maps,)`; NaN if one of both is constant.
    correlations: NDArray[np.float32]


class Part(NamedTuple):
    """A connected part of a region, in pixels of the photograph."""

    #: The number of pixels.
    area: int
    #: y0, x0, y1, x1, ends excluded.
    box: tuple[int, int, int, int]
    #: The corners of the lines around it, `(n, 2)`, each y and x: the outer line, then those of holes.
    contours: list[NDArray[np.int64]]


class Region(NamedTuple):
    """The evidence for a class on the photograph."""

    #: The smallest drop in it; None if there is no evidence.
    level: Optional[float]
    #: True inside, `(height, width)`.
    pixels: NDArray[np.bool_]
    #: The largest first.
    parts: list[Part]


class Maps:
    """The result of a sweep over `ny` rows of `nx` mask positions, for some classes.

    The arrays are read-only views of the numbers, where they are stored.
    """

    def __init__(self, explanation: Explanation) -> None:
        self._explanation = explanation

    def __repr__(self) -> str:
        _, ny, nx = self.scores.shape
        return f"<occlude.Maps: {', '.join(self.labels)}; {ny} rows of {nx} masks>"

    @cached_property
    def info(self) -> dict[str, Any]:
        """The photograph, the network and the options, with the names of `map.json`."""
        found: dict[str, Any] = json.loads(self._explanation.facts)
        return found

    @property
    def labels(self) -> list[str]:
        """The name of each class."""
        return self._explanation.labels

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The indices of the classes, `(classes,)`."""
        return np.asarray(self._explanation.classes)

    @cached_property
    def base_scores(self) -> NDArray[np.float32]:
        """The score of each class without a mask, `(classes,)`."""
        return np.asarray(self._explanation.base_scores)

    @cached_property
    def maps(self) -> NDArray[np.float32]:
        """`base_scores - scores`, `(classes, ny, nx)`: positive where the mask covers evidence for the class."""
        return np.asarray(self._explanation.maps)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The score of each class with each mask, `(classes, ny, nx)`."""
        return np.asarray(self._explanation.scores)

    @cached_property
    def argmax(self) -> NDArray[np.int64]:
        """The most probable class with each mask, `(ny, nx)`."""
        return np.asarray(self._explanation.argmax)

    @cached_property
    def argmax_scores(self) -> NDArray[np.float32]:
        """The score of that class, `(ny, nx)`."""
        return np.asarray(self._explanation.argmax_scores)

    @cached_property
    def attributions(self) -> NDArray[np.float32]:
        """The mean of the drops of all masks that cover a pixel, `(classes, 224, 224)`, as Captum gives it."""
        return np.asarray(self._explanation.attributions)

    @cached_property
    def upsampled(self) -> NDArray[np.float32]:
        """The maps enlarged to the pixels of `area`, `(classes, height, width)`: 224x224 without a region."""
        return np.asarray(self._explanation.upsampled())

    @property
    def area(self) -> tuple[int, int, int, int]:
        """The part of the 224x224 picture that the maps cover: y0, x0, y1, x1, ends excluded."""
        y0, x0, y1, x1 = self._explanation.area
        return y0, x0, y1, x1

    @cached_property
    def mask_rects(self) -> NDArray[np.int64]:
        """The pixels of each mask: y0, x0, y1, x1, ends excluded, `(ny, nx, 4)`."""
        return np.asarray(self._explanation.mask_rects)

    @cached_property
    def mask_centres(self) -> NDArray[np.int64]:
        """The pixel on which each mask is centred, row and column, `(ny, nx, 2)`."""
        return np.asarray(self._explanation.mask_centres)

    @property
    def features(self) -> list[tuple[str, int]]:
        """The layer and the channel of each feature of `activation`."""
        return self._explanation.features

    @cached_property
    def activations(self) -> NDArray[np.float32]:
        """The fall of the total of each feature, `(features, ny, nx)`."""
        return np.asarray(self._explanation.activations)

    @cached_property
    def activation_totals(self) -> NDArray[np.float32]:
        """The total of each feature with each mask, `(features, ny, nx)`."""
        return np.asarray(self._explanation.activation_totals)

    @cached_property
    def activation_base_totals(self) -> NDArray[np.float32]:
        """The total of each feature without a mask, `(features,)`."""
        return np.asarray(self._explanation.activation_base_totals)

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """The logits of all classes of the network without a mask."""
        return np.asarray(self._explanation.logits)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The probabilities of all classes of the network without a mask."""
        return np.asarray(self._explanation.probabilities)

    @cached_property
    def photograph(self) -> NDArray[np.uint8]:
        """The photograph, upright, `(height, width, 3)`."""
        return np.asarray(self._explanation.photograph)

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """The picture that the network sees, `(224, 224, 3)`."""
        return np.asarray(self._explanation.picture)

    @cached_property
    def faithfulness(self) -> list[Curves]:
        """The curves of each class for this map and for Grad-CAM; empty unless `faithfulness` was asked for."""
        found = self._explanation.faithfulness
        return [Curves(method, index, *map(np.asarray, arrays), *areas) for method, index, arrays, areas in found]

    @cached_property
    def pairs(self) -> list[Interactions]:
        """The interactions of the strongest places of each class; empty unless `pairs` was asked for."""
        return [
            Interactions(
                of["class"],
                np.array([(place["y"], place["x"]) for place in of["places"]], np.int64).reshape(-1, 2),
                np.array([place["drop"] for place in of["places"]], np.float32),
                np.array(of["scores"], np.float32),
                [Pair(tuple(pair["places"]), pair["missed"], pair["index"]) for pair in of["pairs"]],
            )
            for of in json.loads(self._explanation.pairs)
        ]

    @cached_property
    def robust(self) -> list[Robust]:
        """The maps of each class with other masks, combined; empty unless `robust` was asked for."""
        return [
            Robust(
                of["class"],
                np.array(of["mean"], np.float32),
                np.array(of["agreeing"], np.int64),
                of["needed"],
                of["agreement"],
                of["strongest"] and (of["strongest"]["y"], of["strongest"]["x"], of["strongest"]["among"]),
                np.array([each["map"] for each in of["maps"]], np.float32),
                np.array([each["mask_size"] for each in of["maps"]], np.int64),
                [each["mask_value"] for each in of["maps"]],
                np.array([each["correlation"] for each in of["maps"]], np.float32),
            )
            for of in json.loads(self._explanation.robust)
        ]

    def metrics(self, *, boxes: Optional[Boxes] = None, tolerance: float = 15.0) -> list[Metrics]:
        """Measures the map of each class, and its Grad-CAM map beside it, as `occlude batch` does.

        `boxes`: the objects of the class on the photograph, a list of (left, top, right, bottom) edges in pixels; for
        maps of several classes a dictionary from the index of a class to such a list.
        `tolerance`: the distance in pixels at which the strongest place counts as in a box.

        Deletion and insertion take 200 classifications for each class. Raises `ValueError` for a box without pixels,
        for boxes of a class without a map, and for maps whose score has no class.
        """
        classes = self.classes.tolist()
        if boxes is None:
            boxes = {}
        elif not isinstance(boxes, Mapping):
            if len(classes) != 1:
                raise ValueError(f"boxes are a list, expected a dictionary from each of the classes {classes} to its boxes")
            boxes = {classes[0]: boxes}
        unknown = [index for index in boxes if index not in classes]
        if unknown:
            raise ValueError(f"boxes of class {unknown[0]} are not possible: expected classes among {classes}")
        of = {int(index): [tuple(map(float, box)) for box in listed] for index, listed in boxes.items()}
        if any(len(box) != 4 for listed in of.values() for box in listed):
            raise ValueError("a box has another number of edges than 4, expected (left, top, right, bottom)")
        return [
            Metrics(method, index, *areas, sparseness, *change, *(agreement or (None, None)))
            for method, index, areas, sparseness, change, agreement in self._explanation.metrics(of, tolerance)
        ]

    def region(self, k: int = 0, *, threshold: Union[str, float] = 0.5) -> Region:
        """The pixels of the photograph that hold the evidence for the `k`-th class, as `occlude region` finds them.

        `threshold`: the smallest drop that counts, as a share of the largest, above 0 to 1, or "otsu".
        """
        k = range(len(self.classes))[k]
        level, pixels, parts = self._explanation.region(k, words(threshold=threshold))
        found = [Part(area, (y0, x0, y1, x1), [*map(np.asarray, lines)]) for area, (y0, x0, y1, x1), lines in parts]
        return Region(level, np.asarray(pixels).view(bool), found)

    def json(self) -> str:
        """The contents of `map.json`."""
        return self._explanation.json()

    def plot(
        self, k: int = 0, *, ax: Optional[Axes] = None, colours: str = "diverging", opacity: float = 0.5
    ) -> Axes:
        """Draws the map of the `k`-th class over the picture with matplotlib.

        `colours` is "diverging", red for evidence and white for no effect, or a colour map of
        matplotlib, such as "jet"; its middle is no effect.
        """
        import matplotlib.pyplot as plt

        colours = "RdBu_r" if colours == "diverging" else colours

        if ax is None:
            _, ax = plt.subplots()
        values = self.upsampled[k]
        limit = float(np.abs(values).max()) or 1.0
        y0, x0, y1, x1 = self.area
        height, width, _ = self.photograph.shape
        # The network's picture in the shape of the photograph, if all of it was resized.
        aspect = height / width if self.info["resize"] in ("stretch", "matlab") else 1.0
        ax.imshow(self.picture, extent=(0, 224, 224, 0))
        drawn = ax.imshow(
            values, extent=(x0, x1, y1, y0), cmap=colours, vmin=-limit, vmax=limit, alpha=opacity
        )
        ax.set(xlim=(0, 224), ylim=(224, 0), aspect=aspect, xticks=[], yticks=[])
        ax.set_title(f"{self.labels[k]}: {self.info['score']} {self.base_scores[k]:.3f}")
        ax.figure.colorbar(drawn, ax=ax, label=f"drop in {self.info['score']} under the mask")
        return ax

    def save(
        self,
        folder: Union[str, os.PathLike[str]],
        *,
        arrays: Union[str, Iterable[str]] = "npz",
        upsampled: bool = False,
        show: Union[str, Iterable[str]] = "drop",
        upsampling: str = "bicubic",
        colours: Optional[str] = None,
        scale: Union[str, float] = "auto",
        colour_range: Optional[str] = None,
        canvas: str = "photo",
        opacity: float = 0.5,
        mark: bool = True,
        format: str = "png",
    ) -> list[Path]:
        """Writes the files of `occlude explain`: the figures, `map.json` and `arrays`, with `upsampled` also the
        maps at the pixels of the picture. Returns their paths.

        `arrays`: "npz", "npy", "safetensors", several of them, or an empty list.
        `show`: "drop", "score", "class". The other options are those of the command's figures.
        """
        options = words(
            arrays=arrays,
            upsampled=upsampled,
            show=show,
            upsampling=upsampling,
            colours=colours,
            scale=scale,
            colour_range=colour_range,
            canvas=canvas,
            opacity=opacity,
            mark=mark,
            format=format,
        )
        return [Path(path) for path in self._explanation.save(os.fspath(folder), options)]

    def report(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        upsampling: str = "bicubic",
        colours: Optional[str] = None,
        scale: Union[str, float] = "auto",
        colour_range: Optional[str] = None,
        canvas: str = "photo",
        opacity: float = 0.5,
    ) -> Path:
        """Writes the interactive report, one HTML file, and returns its path. Of more than 20
        classes it holds the 20 most probable."""
        options = words(
            upsampling=upsampling,
            colours=colours,
            scale=scale,
            colour_range=colour_range,
            canvas=canvas,
            opacity=opacity,
        )
        self._explanation.report(os.fspath(path), options)
        return Path(path)

    def _repr_html_(self) -> str:
        """The interactive report, in a frame of its own, for notebooks."""
        page = html.escape(self._explanation.page("report.html", []))
        style = "width: 100%; height: 720px; border: 0"
        return f'<iframe srcdoc="{page}" style="{style}" sandbox="allow-scripts"></iframe>'
