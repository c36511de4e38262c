"""The network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

import numpy as np

from . import _occlude
from ._image import source
from ._maps import Maps
from ._occlude import INPUT_SIDE
from ._options import words
from ._progress import Progress, listener

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._image import Image

    Classes = Union[str, int, Iterable[Union[str, int]]]
    Size = Union[str, int, Sequence[int]]


#: The options of a sweep that `check` takes.
CHECKED = {
    *("mask_size", "stride", "mask_value", "mask_picture", "mask_shape", "mask_channel", "inverse", "segments"),
    *("mask_clipping", "region", "placement", "score", "groups", "exhaustive", "max_memory"),
}


@dataclass(frozen=True)
class Class:
    """A class with its scores for a photograph."""

    index: int
    #: All names of the class: "tabby, tabby cat".
    label: str
    #: After softmax, 0 to 1.
    probability: float
    #: Before softmax.
    logit: float


class GradCam(NamedTuple):
    """Grad-CAM maps."""

    #: `(classes,)`, int64
    classes: NDArray[np.int64]
    #: `(classes, 7, 7)`, float32, not negative
    maps: NDArray[np.float32]
    #: The layer whose channels are weighted.
    layer: str


class Rise(NamedTuple):
    """Maps of RISE, with the spread of their estimates."""

    #: `(classes,)`, int64
    classes: NDArray[np.int64]
    #: The name of the subject of each map.
    labels: list[str]
    #: The score of each class for the whole picture, `(classes,)`.
    base_scores: NDArray[np.float32]
    #: About the mean score of the masked pictures that show a pixel, `(classes, 224, 224)`, in the unit of the score.
    maps: NDArray[np.float32]
    #: The standard error of each of these values.
    standard_errors: NDArray[np.float32]
    #: The root mean square of the errors as a share of the range of each map without its noise, `(classes,)`; infinite
    #: where the map is no more than noise.
    precisions: NDArray[np.float32]
    #: The number of masks.
    masks: int


class Check(NamedTuple):
    """A repetition of a map under a change, and what follows."""

    name: str
    #: The score of both maps: the logit, where the probability is nearly constant.
    score: str
    #: The correlation of the ranks with the map, -1 to 1, and Pearson's; None if one map is constant.
    spearman: Optional[float]
    pearson: Optional[float]
    #: "passed", "not passed" or "inconclusive", and the rule.
    verdict: str
    passed_if: str
    meaning: str
    #: The map under the change, `(ny, nx)`.
    map: NDArray[np.float32]


class Checks(NamedTuple):
    """The checks of the map of a class."""

    #: The index and the names of the class; None if the score has no class.
    class_index: Optional[int]
    label: str
    base_score: float
    #: The map, `(ny, nx)`.
    map: NDArray[np.float32]
    checks: list[Check]
    #: The photograph, the network and the options, with the names of `check.json`.
    info: dict[str, Any]


class GoogLeNet:
    """A network, ready to classify and to explain. Threads may share it.

    `weights`: a weights file (safetensors, .pth, caffemodel, ONNX), "builtin" for the network inside
    this package, or None for the first that is found: $OCCLUDE_WEIGHTS, the places where the command
    looks, builtin.
    `labels`: a text file with the name of a class in each line, or the names.
    `transform_input`: the input normalization of a network in torchvision's form.
    `resize`: "stretch", "center-crop", "pad" or "matlab", how the 224x224 picture is made; each call may
    choose another.

    Raises `OSError` for a file that is missing or cannot be read, `WeightsError` for one that holds no such network,
    `LabelsError` for names that do not fit.

    A pickled network holds no weights, only where they are: it is loaded from the same file again, and refused with
    `WeightsError` if that file has changed. `copy.deepcopy` returns the network itself, which never changes.
    """

    def __init__(
        self,
        weights: Union[str, os.PathLike[str], None] = None,
        *,
        labels: Union[str, os.PathLike[str], Sequence[str], None] = None,
        transform_input: Optional[bool] = None,
        resize: str = "stretch",
    ) -> None:
        names = None
        if labels is not None and not isinstance(labels, (str, os.PathLike)):
            names, labels = _lines(labels), None
        weights = _path("weights", weights, ' or "builtin"; weights in memory have to be written to a file')
        labels = _path("labels", labels, ", or the names themselves")
        options = words(weights=weights, labels=labels, transform_input=transform_input, resize=resize)
        self._network = _occlude.Network(options, names)
        self._pickled = (names.split("\n") if names else labels and os.path.abspath(labels), transform_input, resize)

    def __reduce__(self) -> tuple[Any, ...]:
        file = self._network.weights
        weights = "builtin" if file is None else os.path.abspath(file)
        return _restored, (weights, *self._pickled, self._network.weights_sha256)

    def __deepcopy__(self, memo: Any) -> GoogLeNet:
        return self

    def __repr__(self) -> str:
        return f"<occlude.GoogLeNet: {self.name}>"

    @property
    def name(self) -> str:
        """The network in words: "built-in network of 28 classes"."""
        return self._network.name

    @property
    def labels(self) -> list[str]:
        """All names of each class, in the order of their indices."""
        return self._network.labels

    def find(self, name: str) -> int:
        """The index of the class with this name, WordNet id or index. Raises `ValueError` with similar names."""
        return self._network.find(name)

    def classify(self, image: Image, top: Optional[int] = None, *, resize: Optional[str] = None) -> list[Class]:
        """The `top` most probable classes, at most and by default 5."""
        classes, logits, probabilities = self._network.classify(source(image), words(top=top, resize=resize))
        logits, probabilities = np.asarray(logits), np.asarray(probabilities)
        labels = self.labels
        return [Class(i, labels[i], float(probabilities[i]), float(logits[i])) for i in classes]

    def explain(
        self,
        image: Image,
        classes: Classes = "top1",
        *,
        mask_size: Size = "auto",
        stride: Size = "auto",
        mask_value: Union[str, float, Sequence[float]] = "auto",
        mask_picture: Optional[Any] = None,
        mask_shape: Optional[str] = None,
        mask_channel: Optional[str] = None,
        inverse: bool = False,
        segments: Optional[Any] = None,
        mask_clipping: bool = True,
        region: Optional[Sequence[int]] = None,
        activation: Union[str, Iterable[str]] = (),
        aggregate: str = "none",
        placement: str = "centres",
        score: str = "probability",
        groups: Optional[Any] = None,
        exhaustive: bool = False,
        max_memory: Union[str, int, None] = None,
        faithfulness: bool = False,
        pairs: Optional[int] = None,
        robust: bool = False,
        robust_size: Optional[Sequence[Size]] = None,
        robust_fill: Optional[Sequence[Union[str, float, Sequence[float]]]] = None,
        threads: Optional[int] = None,
        resize: Optional[str] = None,
        progress: Progress = None,
        progressive: Optional[Callable[[Maps], Any]] = None,
    ) -> Maps:
        """Slides a mask over the picture and maps the fall of the scores. All classes take one sweep.

        `image`: a path, the contents of a file, an array of `(height, width)` or `(height, width, 3)`,
        uint8 or floats from 0 to 1, or a picture of Pillow.
        `classes`: indices and names, "topK" for the K most probable ones, "all".
        `mask_size`, `stride`: pixels of the 224x224 picture, 1 to 224, or (height, width); "auto" is 45 and 22.
        `mask_value`: "auto" (mean colour of the picture), "mean" (of the training images), a grey level or
        (red, green, blue) from 0 to 255, "blur", "blur:S", "noise", "noise:SEED", "patch", "inpaint".
        `mask_picture`: the path of another photograph that fills the masks.
        `mask_shape`: "ellipse" or "gaussian". `mask_channel`: "red", "green" or "blue". `inverse`: cover the rest.
        `segments`: "slic:N", or the path of a PNG file with numbers of parts, which are covered one by one.
        `mask_clipping`: True: masks are centred at 0, stride, ... and clipped at the border; False: all are inside.
        `region`: (y0, x0, y1, x1), ends excluded; only masks whose centre lies there.
        `activation`: features to map, too: "inception_4c/output:17", "inception_4c/output:strongest".
        `aggregate`: "windows": figures and `upsampled` show the mean of the drops of all masks that cover a pixel.
        `placement`: "centres", or "stretch" as in MATLAB.
        `score`: "probability", "logit", "contrast:CLASS", "contrast:nearest:K", "margin", "group:NAME", "entropy".
        `groups`: the path of a file with groups.
        `exhaustive`: recompute everything at each position; the same bits, slower.
        `max_memory`: bytes, or "500M".
        `faithfulness`: measure deletion and insertion, too.
        `pairs`: also cover this number of the strongest places in every combination, 2 to 10.
        `robust`: also repeat the map with each size of `robust_size` (30, 45, 60) and each fill of `robust_fill`
        ("auto", "blur", "mean").
        `threads`: one per core by default; the results do not depend on it.
        `resize`: as for the network.
        `progress`: None for a bar of tqdm in terminals and notebooks, True, False, or a function(done, total).
        `progressive`: a function that is called with coarse maps after about a tenth of the time, and again.

        Ctrl-C ends the sweep at once. Raises `ValueError` for an option outside its range and for an unknown
        class, `OSError` and `ImageError` for the photograph, `MemoryError`.
        """
        # The command refuses options that have no effect, also with their defaults.
        if mask_picture is not None and mask_value == "auto":
            mask_value = None
        slides = {"mask_size": mask_size, "stride": stride, "mask_clipping": mask_clipping, "placement": placement}
        if segments is not None:
            defaults = {"mask_size": "auto", "stride": "auto", "mask_clipping": True, "placement": "centres"}
            slides = {name: value for name, value in slides.items() if value != defaults[name]}
        options = words(
            classes=classes,
            **slides,
            mask_value=mask_value,
            mask_picture=mask_picture,
            mask_shape=mask_shape,
            mask_channel=mask_channel,
            inverse=inverse,
            segments=segments,
            region=region,
            activation=activation,
            aggregate=aggregate,
            score=score,
            groups=groups,
            exhaustive=exhaustive,
            max_memory=max_memory,
            faithfulness=faithfulness,
            pairs=pairs,
            robust=robust,
            robust_size=robust_size,
            robust_fill=robust_fill,
            threads=threads,
            resize=resize,
        )
        coarse = None if progressive is None else lambda found: progressive(Maps(found))
        with listener(progress) as told:
            return Maps(self._network.explain(source(image), options, told, coarse))

    def check(
        self,
        image: Image,
        classes: Classes = "top1",
        *,
        threads: Optional[int] = None,
        resize: Optional[str] = None,
        progress: Progress = None,
        **sweep: Any,
    ) -> Checks:
        """Checks whether a map explains the network: repeats it with shuffled layers, for another class, with noise of
        one grey level, and on another number of threads.

        `classes`: the class whose map is checked, and the other one; by default the two most probable ones.
        `sweep`: the options of `explain` for the sweep, such as `mask_size`, `stride` and `score`, apart from
        `activation` and `aggregate`.

        The weights file is read again. Raises `WeightsError` if it has changed.
        """
        unknown = sorted(set(sweep) - CHECKED)
        if unknown:
            raise TypeError(f"{unknown[0]} is no option of check(): expected {', '.join(sorted(CHECKED))}")
        options = words(classes=classes, threads=threads, resize=resize, **sweep)
        with listener(progress) as told:
            info = json.loads(self._network.check(source(image), options, told))
        checks = [
            Check(**{name: each[name] for name in Check._fields[:-1]}, map=np.array(each["map"], np.float32))
            for each in info.pop("checks")
        ]
        index, label, base_score = (info.pop(name) for name in ("class", "label", "base_score"))
        return Checks(index, label, base_score, np.array(info.pop("map"), np.float32), checks, info)

    def rise(
        self,
        image: Image,
        classes: Classes = "top1",
        *,
        masks: int = 1000,
        precision: Optional[float] = None,
        grid: Size = "auto",
        probability: float = 0.5,
        seed: int = 1,
        mask_value: Union[str, float, Sequence[float]] = "mean",
        score: str = "probability",
        groups: Optional[Any] = None,
        threads: Optional[int] = None,
        resize: Optional[str] = None,
        progress: Progress = None,
    ) -> Rise:
        """Maps of the classes, at most 20, by RISE: random masks over the whole picture, for comparison.

        `masks`: the largest number of masks, 2 to 1000000.
        `precision`: stop as soon as the standard error is this share of the range of each map, above 0 to 1.
        `grid`: rows and columns of the cells of a mask, 1 to 112, or (rows, columns); "auto" is 7.
        `probability`: that a cell is visible, above 0 and below 1. `seed`: of the masks.
        `mask_value`: the fill of what is dark, as for `explain`.
        `score`, `groups`, `threads`, `resize`: as for `explain`. `progress`: the same, with masks for positions.
        """
        options = words(
            classes=classes,
            masks=masks,
            precision=precision,
            grid=grid,
            probability=probability,
            seed=seed,
            mask_value=mask_value,
            score=score,
            groups=groups,
            threads=threads,
            resize=resize,
        )
        with listener(progress) as told:
            index, labels, base_scores, maps, errors, precisions, used = self._network.rise(
                source(image), options, told
            )
        arrays = (np.asarray(array) for array in (base_scores, maps, errors, precisions))
        return Rise(np.asarray(index), labels, *arrays, used)

    def gradcam(
        self,
        image: Image,
        classes: Classes = "top1",
        *,
        threads: Optional[int] = None,
        resize: Optional[str] = None,
    ) -> GradCam:
        """Grad-CAM maps of the classes, for comparison."""
        options = words(classes=classes, threads=threads, resize=resize)
        found, maps, layer = self._network.gradcam(source(image), options)
        return GradCam(np.asarray(found), np.asarray(maps), layer)

    def input(self, image: Image, *, resize: Optional[str] = None) -> NDArray[np.float32]:
        """The tensor that the network reads, `(1, 3, 224, 224)`: blue, green, red, minus the ImageNet mean."""
        values = np.asarray(self._network.input(source(image), words(resize=resize)))
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])

    def predict(self, inputs: NDArray[Any], *, score: str = "probability") -> NDArray[np.float32]:
        """The scores of tensors like those of `input`: `(n, 3, 224, 224)` gives `(n, classes)`."""
        logits, probabilities = self._network.predict(tensor_bytes(inputs))
        return np.asarray(probabilities if is_probability(score) else logits)


def _path(name: str, value: Any, otherwise: str) -> Optional[str]:
    """A path as text. Paths in bytes have no text on every system, and no one means the bytes of a file."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if path is not None and not isinstance(path, str):
        raise TypeError(f"{name} is {type(path).__name__}, expected a path as str or os.PathLike{otherwise}")
    return path


def _lines(labels: Iterable[str]) -> str:
    """Names of classes as the lines of a file."""
    if isinstance(labels, (bytes, bytearray, memoryview)) or not isinstance(labels, Iterable):
        raise TypeError(f"labels is {type(labels).__name__}, expected a path as str or os.PathLike, or a list of names")
    names = list(labels)
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"labels[{i}] is {type(name).__name__}, expected a name as str")
        if "\n" in name or "\r" in name:
            raise _occlude.LabelsError(f"labels[{i}] is {name!r}, expected the name of one class, without line ends")
    return "\n".join(names)


def _restored(weights: str, labels: Any, transform_input: Optional[bool], resize: str, sha256: str) -> GoogLeNet:
    """A network that was pickled."""
    net = GoogLeNet(weights, labels=labels, transform_input=transform_input, resize=resize)
    if net._network.weights_sha256 != sha256:
        raise _occlude.WeightsError(f"{weights}: has changed since the network was pickled: load it by its name")
    return net


def is_probability(score: str) -> bool:
    if score not in ("probability", "logit"):
        raise ValueError(f"score {score!r} is not possible: expected probability or logit")
    return score == "probability"


def tensor_bytes(inputs: NDArray[Any]) -> bytes:
    """Inputs in the order in which the network reads them."""
    array = np.asarray(inputs)
    if array.ndim != 4 or array.shape[1:] != (3, INPUT_SIDE, INPUT_SIDE):
        raise ValueError(f"inputs have the shape {array.shape}, expected (n, 3, {INPUT_SIDE}, {INPUT_SIDE})")
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1), dtype="<f4").tobytes()
