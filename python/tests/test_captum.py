"""The adapters for Captum and Quantus."""

import numpy as np
import pytest

from conftest import PHOTOGRAPH
from occlude.captum import Occlusion
from occlude.quantus import Explain

TOLERANCE = 1e-5

# Window, strides and baseline. The last windows are cut off in some, and not in others.
SETTINGS = [
    ((3, 56, 56), (3, 56, 56), None),
    ((3, 80, 60), (3, 70, 45), 30.0),
    ((3, 45, 90), 44, None),
    ((3, 224, 100), (3, 1, 99), -20),
    ((3, 224, 224), (3, 224, 224), None),
    ((3, 150, 150), (1, 150, 75), "colour"),
    ((1, 112, 224), (1, 100, 200), 5.0),
    ((3, 112, 112), (3, 112, 100), "picture"),
]


def baseline(kind, x):
    if kind == "colour":
        return np.float32([-10, 5, 40]).reshape(1, 3, 1, 1) * np.ones_like(x)
    if kind == "picture":
        return x[:, :, ::-1].copy()
    return kind


def by_loops(net, x, target, window, strides, fill, score):
    """Occlusion by its definition: each window alone."""
    strides = (strides,) * 3 if isinstance(strides, int) else strides
    fill = np.broadcast_to(0 if fill is None else fill, x.shape)
    base = net.predict(x, score=score)[0, target]
    sums, counts = np.zeros(x.shape), np.zeros(x.shape)

    def starts(axis):
        found = [0]
        while found[-1] + window[axis] < x.shape[axis + 1]:
            found.append(found[-1] + strides[axis])
        return found

    for c in starts(0):
        for top in starts(1):
            for left in starts(2):
                place = np.s_[:, c : c + window[0], top : top + window[1], left : left + window[2]]
                masked = x.copy()
                masked[place] = fill[place]
                sums[place] += base - net.predict(masked, score=score)[0, target]
                counts[place] += 1
    return sums / counts


@pytest.mark.parametrize(("window", "strides", "fill"), SETTINGS)
def test_attributions_are_those_of_the_definition(net, window, strides, fill):
    score = "logit" if fill is None else "probability"
    x = net.input(PHOTOGRAPH)
    target = net.classify(PHOTOGRAPH)[0].index
    fill = baseline(fill, x)
    found = Occlusion(net, score=score).attribute(x, window, strides, fill, target)
    assert found.shape == x.shape and found.dtype == np.float32
    expected = by_loops(net, x, target, window, strides, fill, score)
    assert np.abs(found - expected).max() < TOLERANCE * max(1, np.abs(expected).max())


@pytest.mark.parametrize(("window", "strides", "fill"), SETTINGS)
def test_attributions_are_those_of_captum(net, window, strides, fill):
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    both = np.concatenate([net.input(PHOTOGRAPH), net.input(PHOTOGRAPH)[:, :, :, ::-1]])
    x = torch.from_numpy(both)
    target = [found.index for found in net.classify(PHOTOGRAPH, top=2)]
    fill = baseline(fill, both)
    fill = torch.from_numpy(fill) if isinstance(fill, np.ndarray) else fill
    theirs = captum.Occlusion(lambda batch: torch.from_numpy(net.predict(batch.numpy()).copy()))
    arguments = {"sliding_window_shapes": window, "strides": strides, "baselines": fill, "target": target}
    found = Occlusion(net).attribute(x, **arguments)
    assert isinstance(found, torch.Tensor)
    assert (found - theirs.attribute(x, **arguments)).abs().max() < TOLERANCE


def test_windows_inside_the_picture_are_those_of_the_maps(net):
    x = net.input(PHOTOGRAPH)
    maps = net.explain(PHOTOGRAPH, mask_size=64, stride=32, mask_value="mean", mask_clipping=False, progress=False)
    found = Occlusion(net).attribute(x, (3, 64, 64), (3, 32, 32), target=int(maps.classes[0]))
    assert np.abs(found[0, 0] - maps.attributions[0]).max() < TOLERANCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": None}, "target is None"),
        ({"target": 28}, "class 28 is not possible"),
        ({"target": -1}, "expected indices of classes, from 0"),
        ({"target": [1, 2]}, "one for each of 1 tensors"),
        ({"target": 1.5}, "expected the index of a class"),
        ({"sliding_window_shapes": (3, 225, 9)}, r"sliding_window_shapes\[1\] is 225, expected 1 to 224"),
        ({"sliding_window_shapes": (9, 9)}, "expected channels, height and width"),
        ({"strides": (3, 57, 9)}, r"strides\[1\] is 57, expected 1 to 56"),
        ({"strides": 0}, r"strides\[0\] is 0"),
        ({"inputs": np.zeros((3, 224, 224), np.float32)}, r"expected \(n, 3, 224, 224\)"),
        ({"inputs": np.full((1, 3, 224, 224), np.inf, np.float32)}, "finite"),
        ({"baselines": np.nan}, "finite"),
    ],
)
def test_arguments_that_are_not_possible(net, arguments, message):
    good = {"inputs": net.input(PHOTOGRAPH), "sliding_window_shapes": (3, 56, 56), "strides": (3, 56, 56), "target": 1}
    with pytest.raises(ValueError, match=message):
        Occlusion(net).attribute(**{**good, **arguments})


def test_an_explanation_for_quantus(net):
    explain = Explain(net, mask_size=(80, 112), stride=60, score="logit")
    x = np.concatenate([net.input(PHOTOGRAPH)] * 2)
    found = explain(model=None, inputs=x, targets=np.array([3, 4]), device="cpu")
    assert found.shape == (2, 1, 224, 224)
    for i, target in enumerate([3, 4]):
        expected = Occlusion(net, score="logit").attribute(x[:1], (3, 80, 112), (3, 60, 60), 0.0, target)
        assert (found[i, 0] == expected[0, 0]).all()


def test_a_metric_of_quantus(net):
    torch = pytest.importorskip("torch")
    quantus = pytest.importorskip("quantus")

    class Model(torch.nn.Module):
        def forward(self, x):
            return torch.from_numpy(net.predict(x.detach().numpy(), score="logit").copy())

    x = net.input(PHOTOGRAPH)
    y = np.array([net.classify(PHOTOGRAPH)[0].index])
    metric = quantus.PixelFlipping(features_in_step=224 * 28, perturb_baseline="black", disable_warnings=True)
    good = metric(Model().eval(), x, y, explain_func=Explain(net), device="cpu")
    # The same order from the least important pixel on.
    bad = metric(Model().eval(), x, y, a_batch=-Explain(net)(None, x, y), device="cpu")
    assert np.isfinite(good).all() and np.mean(good) < np.mean(bad)
