"""What tells how far a map can be trusted: other masks, pairs of places, checks, metrics; and RISE."""

import csv
import inspect
import re

import numpy as np
import pytest

import occlude
from conftest import PHOTOGRAPH, ROOT, SMALL, command, printed
from occlude._network import CHECKED

WORDS = ("--mask-size", "80x60", "--stride", "56x50")


def test_robust_maps_are_combined_position_by_position(net):
    maps = net.explain(
        PHOTOGRAPH,
        "top2",
        stride=56,
        robust=True,
        robust_size=[30, (80, 60)],
        robust_fill=["mean", (10, 20, 30)],
        progress=False,
    )
    assert [found.class_index for found in maps.robust] == maps.classes.tolist()
    masks = [(size, fill) for size in (30, (80, 60)) for fill in ("mean", (10, 20, 30))]
    plain = [
        net.explain(PHOTOGRAPH, "top2", stride=56, mask_size=size, mask_value=fill, progress=False).maps
        for size, fill in masks
    ]
    for k, found in enumerate(maps.robust):
        each = np.stack([repeated[k] for repeated in plain])
        assert found.maps.tobytes() == each.tobytes() and found.maps.dtype == np.float32
        mean = np.mean([drops / np.abs(drops).max() for drops in each.astype(np.float64)], axis=0)
        assert np.allclose(found.mean, mean, atol=1e-6)
        agreeing = sum((np.sign(drops) == np.sign(found.mean)) & (drops != 0) for drops in each)
        assert (found.agreeing == agreeing).all() and found.needed == 4
        assert found.agreement == pytest.approx((agreeing >= 4).mean())
        y, x, among = found.strongest
        row, column = np.unravel_index(found.mean.argmax(), found.mean.shape)
        assert [y, x] == maps.mask_centres[row, column].tolist()
        strong = [10 * (drops > drops[row, column]).sum() < drops.size for drops in each]
        assert among == sum(strong)
        expected = [np.corrcoef(drops.ravel(), found.mean.ravel())[0, 1] for drops in each]
        assert np.allclose(found.correlations, expected, atol=1e-5)
        assert found.mask_sizes.tolist() == [[30, 30], [30, 30], [80, 60], [80, 60]]
        # The mean of the training pictures is a colour.
        assert found.mask_values == [[123, 117, 104], [10, 20, 30]] * 2
    assert maps.pairs == [] and net.explain(PHOTOGRAPH, **SMALL, progress=False).robust == []


def test_pairs_are_those_of_the_command(net, tmp_path):
    maps = net.explain(PHOTOGRAPH, "top2", **SMALL, score="logit", pairs=3, progress=False)
    words = ("--classes", "top2", "--score", "logit", "--pairs", 3, "--out", tmp_path)
    expected = printed("explain", PHOTOGRAPH, *WORDS, *words)["pairs"]
    for k, (found, of) in enumerate(zip(maps.pairs, expected)):
        assert found.class_index == of["class"] == maps.classes[k]
        assert found.places.tolist() == [[place["y"], place["x"]] for place in of["places"]]
        # A place is a position of the map.
        for place, drop in zip(found.places, found.drops):
            at = (maps.mask_centres == place).all(axis=-1)
            assert maps.maps[k][at] == drop
        count = len(found.places)
        assert found.scores.shape == (2**count,) and found.scores[0] == maps.base_scores[k]
        assert found.scores.tobytes() == np.float32(of["scores"]).tobytes()
        drop = found.scores[0].astype(np.float64) - found.scores
        assert [pair.places for pair in found.pairs] == [(i, j) for i in range(count) for j in range(i + 1, count)]
        for pair in found.pairs:
            i, j = (1 << place for place in pair.places)
            assert pair.missed == pytest.approx(drop[i | j] - drop[i] - drop[j], abs=1e-9)
        # The single drops and the indices add up to the drop with everything covered.
        singles = sum(drop[1 << place] for place in range(count))
        assert singles + sum(pair.index for pair in found.pairs) == pytest.approx(drop[-1], abs=1e-6)


def test_rise_is_that_of_the_command(net, tmp_path):
    told = []
    options = {"grid": (4, 3), "probability": 0.4, "seed": 5, "mask_value": "blur", "score": "logit-margin"}
    found = net.rise(PHOTOGRAPH, "top2", masks=70, precision=1, **options, progress=lambda *now: told.append(now))
    words = ("--grid", "4x3", "--probability", 0.4, "--seed", 5, "--mask-value", "blur", "--score", "logit-margin")
    words += ("--classes", "top2", "--masks", 70, "--precision", 1, "--out", tmp_path)
    expected = printed("rise", PHOTOGRAPH, *words)
    assert found.masks == expected["masks"] and told[-1] == (found.masks, 70)
    assert found.maps.shape == found.standard_errors.shape == (2, 224, 224) and found.maps.dtype == np.float32
    for k, of in enumerate(expected["classes"]):
        assert found.classes[k] == of["index"] and found.labels[k] == of["label"].split(", ")[0]
        assert found.base_scores[k] == np.float32(of["base_score"])
        assert found.precisions[k] == np.float32(of["precision"] or np.inf)
        assert found.maps[k].tobytes() == np.float32(of["map"]).tobytes()
        assert found.standard_errors[k].tobytes() == np.float32(of["standard_error"]).tobytes()
    group = net.rise(PHOTOGRAPH, masks=2, score="entropy", progress=False)
    assert group.labels == ["whole answer"] and group.precisions.shape == (1,)


def test_checks_are_those_of_the_command(net, tmp_path):
    told = []
    options = {"mask_size": (80, 60), "stride": 75, "score": "logit"}
    found = net.check(PHOTOGRAPH, "top2", **options, threads=2, progress=lambda *now: told.append(now))
    words = ("--mask-size", "80x60", "--stride", 75, "--score", "logit", "--threads", 2, "--out", tmp_path)
    expected = printed("check", PHOTOGRAPH, "--classes", "top2", *words)
    assert (found.class_index, found.label) == (expected["class"], expected["label"])
    assert found.map.tolist() == np.float32(expected["map"]).tolist() and found.map.shape == (3, 3)
    assert found.info["image"] == str(PHOTOGRAPH) and found.info["seed"] == expected["seed"]
    assert len(found.checks) == len(expected["checks"]) == 8 and told
    for check, of in zip(found.checks, expected["checks"]):
        assert check.map.tolist() == np.float32(of["map"]).tolist()
        for name in ("name", "score", "spearman", "pearson", "verdict", "passed_if", "meaning"):
            assert getattr(check, name) == of[name], name
    with pytest.raises(TypeError, match="activation is no option of check"):
        net.check(PHOTOGRAPH, activation="conv1/7x7_s2:3")
    with pytest.raises(ValueError, match="--stride"):
        net.check(PHOTOGRAPH, stride=0)


def test_a_check_notices_other_weights(tmp_path):
    file = tmp_path / "net.safetensors"
    file.write_bytes((ROOT / "weights/builtin.safetensors").read_bytes())
    net = occlude.GoogLeNet(file)
    net.check(PHOTOGRAPH, stride=224, progress=False)
    edited = file.read_bytes()
    file.write_bytes(edited[:-1] + bytes([edited[-1] ^ 1]))
    with pytest.raises(occlude.WeightsError, match="has changed since the network was loaded"):
        net.check(PHOTOGRAPH, **SMALL, progress=False)


@pytest.mark.parametrize(
    ("name", "method", "known"),
    [("rise", occlude.GoogLeNet.rise, set()), ("check", occlude.GoogLeNet.check, CHECKED)],
)
def test_every_option_of_the_command_is_here(name, method, known):
    text = command(name, "--help").stdout
    options = {name.replace("-", "_") for name in re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M)}
    known = known | set(inspect.signature(method).parameters)
    known |= set(inspect.signature(occlude.GoogLeNet.__init__).parameters)
    # These belong to files.
    assert options - known == {"help", "out", "json", "canvas"}
    blocks = [" ".join(block.split()) for block in re.split(r"\n +(?=--[a-z])", text)]
    for parameter in inspect.signature(method).parameters.values():
        described = [block for block in blocks if block.startswith(f"--{parameter.name.replace('_', '-')} <")]
        default = described and re.search(r"\[default: ([^\]]*)\]", described[0])
        if default and default[1][0] != "o":
            assert parameter.default is None or str(parameter.default) == default[1], parameter.name


@pytest.fixture(scope="module")
def measured(net):
    """Maps of one class, a box, and the measures."""
    maps = net.explain(PHOTOGRAPH, "cat", **SMALL, progress=False)
    box = (60.0, 20.0, 300.5, 250.0)
    return maps, box, maps.metrics(boxes=[box], tolerance=20)


def test_metrics_are_those_of_a_batch(measured, tmp_path):
    maps, box, (ours, gradcam) = measured
    (tmp_path / "boxes.csv").write_text(f"photo,class,x0,y0,x1,y1\n{PHOTOGRAPH},cat,{','.join(map(str, box))}\n")
    words = ("--metrics", "--boxes", tmp_path / "boxes.csv", "--tolerance", 20, "--classes", "cat")
    done = command("batch", PHOTOGRAPH, "--out", tmp_path / "maps", *WORDS, *words)
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader((tmp_path / "maps/summary.csv").open())
    for method, found in (("occlusion", ours), ("gradcam", gradcam)):
        for name, value in (
            ("deletion", found.deletion_area),
            ("insertion", found.insertion_area),
            ("sparseness", found.sparseness),
            ("confidence_drop", found.confidence_drop),
            ("confidence_increase", found.confidence_rises),
            ("pointing", found.pointing),
            ("iou", found.iou),
        ):
            column = next(column for column in row if column.endswith(f"{method}_{name}"))
            assert np.float32(row[column]) == np.float32(value), column
    assert (ours.method, gradcam.method, ours.class_index) == ("occlusion", "grad-cam", maps.classes[0])


def test_metrics_are_their_definitions(net, measured):
    maps, (x0, y0, x1, y1), (ours, _) = measured
    pixels = maps.upsampled[0].astype(np.float64)
    magnitudes = np.sort(np.abs(pixels).ravel())
    n = magnitudes.size
    gini = ((2 * np.arange(1, n + 1) - n - 1) * magnitudes).sum() / (n * magnitudes.sum())
    assert ours.sparseness == pytest.approx(gini, abs=1e-6)

    # The picture, multiplied by its evidence.
    levels = net.input(PHOTOGRAPH) + np.float32(occlude._occlude.MEAN_BGR)[None, :, None, None]
    shares = np.maximum(maps.upsampled[0], 0) / maps.upsampled[0].max()
    dimmed = levels * shares - np.float32(occlude._occlude.MEAN_BGR)[None, :, None, None]
    before, after = maps.base_scores[0], net.predict(dimmed)[0, maps.classes[0]]
    assert ours.confidence_drop == pytest.approx(max((before - after) / before, 0), abs=1e-5)
    assert ours.confidence_rises == (after > before)

    height, width, _ = maps.photograph.shape
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    x, y = (column + 0.5) * width / 224, (row + 0.5) * height / 224
    distance = np.hypot(max(x0 - x, x - x1, 0), max(y0 - y, y - y1, 0))
    assert ours.pointing == (distance <= 20)

    top, left, bottom, right = maps.region(0).parts[0].box
    both = max(min(right, x1) - max(left, x0), 0) * max(min(bottom, y1) - max(top, y0), 0)
    union = (right - left) * (bottom - top) + (x1 - x0) * (y1 - y0) - both
    assert ours.iou == pytest.approx(both / union, abs=1e-6)

    curves = net.explain(PHOTOGRAPH, "cat", **SMALL, faithfulness=True, progress=False).faithfulness
    for found, of in zip(curves, measured[2]):
        widths = np.diff(found.shares.astype(np.float64))
        for area, line, measure in (
            (found.deletion_area, found.deletion, of.deletion_area),
            (found.insertion_area, found.insertion, of.insertion_area),
        ):
            assert area == pytest.approx((widths * (line[1:] + line[:-1]) / 2).sum(), abs=1e-6)
            assert area == measure


def test_boxes_that_are_not_possible_are_refused(net, small, measured):
    with pytest.raises(ValueError, match="boxes are a list, expected a dictionary"):
        small.metrics(boxes=[(0, 0, 9, 9)])
    with pytest.raises(ValueError, match="boxes of class 27 are not possible"):
        small.metrics(boxes={27: [(0, 0, 9, 9)]})
    maps = measured[0]
    with pytest.raises(ValueError, match="box has another number of edges"):
        maps.metrics(boxes=[(0, 0, 9)])
    with pytest.raises(ValueError, match=r"box \[5.0, 0.0, 5.0, 9.0\] is not possible"):
        maps.metrics(boxes=[(5, 0, 5, 9)])
    with pytest.raises(ValueError, match="tolerance -1"):
        maps.metrics(boxes=[(0, 0, 9, 9)], tolerance=-1)
    entropy = net.explain(PHOTOGRAPH, score="entropy", **SMALL, progress=False)
    assert entropy.labels == ["whole answer"]
    with pytest.raises(ValueError, match="--faithfulness with a score of no class"):
        entropy.metrics()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 11}, "expected a whole number from 2 to 10"),
        ({"pairs": 2, "inverse": True}, "--pairs with --inverse is not possible"),
        ({"robust_size": [30]}, "--robust"),
        ({"robust": True, "mask_clipping": False}, "--robust with --mask-clipping off is not possible"),
        ({"robust": True, "robust_size": [30], "robust_fill": ["mean"]}, "--robust with 1 different masks"),
        ({"faithfulness": True, "score": "entropy"}, "--faithfulness with a score of no class is not possible"),
    ],
)
def test_contradictory_options_are_refused(net, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        net.explain(PHOTOGRAPH, **options, progress=False)
