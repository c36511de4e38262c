"""The sweep: options, results, progress, cancellation, threads."""

import inspect
import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import occlude
from conftest import PHOTOGRAPH, SMALL, arrays, command

WORDS = ("--mask-size", "80x60", "--stride", "56x50")


def test_the_arrays_are_those_of_the_command(net, tmp_path):
    options = {
        "mask_value": (10, 200, 90.5),
        "mask_clipping": False,
        "region": (0, 30, 200, 224),
        "activation": ["inception_4c/output:17", "conv2/3x3:strongest"],
        "aggregate": "windows",
        "score": "logit",
        "placement": "stretch",
        "max_memory": "500M",
        "threads": 1,
        "exhaustive": True,
        "resize": "center-crop",
    }
    words = (
        *("--mask-value", "10,200,90.5", "--mask-clipping", "off", "--region", "0,30,200,224", "--score", "logit"),
        *("--activation", "inception_4c/output:17", "--activation", "conv2/3x3:strongest", "--aggregate", "windows"),
        *("--placement", "stretch", "--max-memory", "500M", "--threads", "1", "--exhaustive", "--resize", "center-crop"),
    )
    maps = net.explain(PHOTOGRAPH, classes=["top2", 7], **SMALL, **options, progress=False)
    expected = arrays(tmp_path, *WORDS, *words, "--classes", "top2", "--classes", "7")
    channels = expected.pop("activation_channels")
    assert maps.features == [("inception_4c/output", 17), ("conv2/3x3", channels[1])]
    # `info`, `labels` and `mask_rects` have these.
    elsewhere = {"mask_size", "stride", "photo_size", "extent", "photo_extent", "image", "class_names", "score_name"}
    elsewhere |= {f"{picture}centres_{axis}" for picture in ("", "photo_") for axis in "yx"}
    for name, array in expected.items():
        if name in elsewhere:
            continue
        found = getattr(maps, name)
        assert (found.dtype, found.shape) == (array.dtype, array.shape), name
        assert found.tobytes() == array.tobytes(), name
        assert not found.flags.writeable, name


def test_shapes_are_those_of_the_documentation(small):
    ny, nx = small.scores.shape[1:]
    assert (ny, nx) == (4, 5)
    assert small.maps.shape == (2, ny, nx) and small.attributions.shape == (2, 224, 224)
    assert (small.maps == small.base_scores[:, None, None] - small.scores).all()
    assert small.mask_rects.shape == (ny, nx, 4) and small.mask_centres.shape == (ny, nx, 2)
    assert small.mask_rects[1, 2].tolist() == [56 - 40, 100 - 30, 56 + 40, 100 + 30]
    assert small.mask_centres[1, 2].tolist() == [56, 100]
    assert small.area == (0, 0, 224, 224) and small.upsampled.shape == (2, 224, 224)
    # A value is exact in the middle of its mask.
    assert small.upsampled[0, 55:57, 99:101].mean() == pytest.approx(small.maps[0, 1, 2], abs=0.01)
    assert small.logits.shape == small.probabilities.shape == (28,)
    assert small.base_scores[0] == small.probabilities[small.classes[0]] == small.probabilities.max()
    assert small.picture.shape == (224, 224, 3) and small.picture.dtype == np.uint8
    assert small.features == [] and small.activations.shape == (0, ny, nx) and small.faithfulness == []
    assert small.info["mask_size"] == [80, 60] and small.info["image"] == str(PHOTOGRAPH)
    assert "4 rows of 5 masks" in repr(small) and small.labels[0] in repr(small)
    part = occlude.GoogLeNet("builtin").explain(PHOTOGRAPH, region=(40, 60, 180, 200), progress=False)
    y0, x0, y1, x1 = part.area
    assert part.upsampled.shape == (1, y1 - y0, x1 - x0)


def test_arrays_outlive_the_maps(net):
    scores = net.explain(PHOTOGRAPH, stride=112, progress=False).scores
    before = scores.copy()
    net.explain(PHOTOGRAPH, stride=112, mask_value=0, progress=False)
    assert (scores == before).all()


def test_faithfulness(net):
    maps = net.explain(PHOTOGRAPH, **SMALL, faithfulness=True, progress=False)
    assert [curves.method for curves in maps.faithfulness] == ["occlusion", "grad-cam"]
    for curves in maps.faithfulness:
        assert curves.class_index == maps.classes[0]
        assert curves.shares.shape == curves.deletion.shape == curves.insertion.shape
        assert curves.deletion[0] == curves.insertion[-1] == maps.base_scores[0]


def test_the_defaults_are_those_of_the_command():
    blocks = re.split(r"\n +(?=--[a-z])", command("explain", "--help").stdout)
    blocks = [" ".join(block.split()) for block in blocks]
    compared = 0
    for method in (occlude.GoogLeNet.explain, occlude.Maps.save, occlude.Maps.report):
        for parameter in inspect.signature(method).parameters.values():
            option = "--" + parameter.name.replace("_", "-")
            described = [block for block in blocks if block.startswith(f"{option} <")]
            # The arrays are there for Python, so they are written.
            if not described or parameter.name == "arrays":
                continue
            default = re.search(r"\[default: ([^\]]*)\]", described[0])
            default = default and default[1]
            found = {True: "on", False: "off"}.get(parameter.default, parameter.default)
            assert found in (None, ()) or str(found) == default, f"{option}: {found}, {default}"
            compared += 1
    assert compared > 15


def test_every_option_of_the_command_is_here():
    text = command("explain", "--help").stdout
    options = {name.replace("-", "_") for name in re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M)}
    known = set()
    for method in (occlude.GoogLeNet.__init__, occlude.GoogLeNet.explain, occlude.Maps.save, occlude.Maps.report):
        known |= set(inspect.signature(method).parameters)
    # These are methods of the result.
    known |= {"out", "report", "json"}
    assert options - known == {"help"}


@pytest.mark.parametrize(
    "options",
    [
        {"mask_size": 0},
        {"mask_size": (10, 225)},
        {"mask_size": (1, 2, 3)},
        {"stride": "ten"},
        {"stride": 1.5},
        {"mask_value": -1},
        {"mask_value": (1, 2)},
        {"mask_value": "blur:1000"},
        {"region": (5, 0, 5, 9)},
        {"region": ()},
        {"classes": "no such class"},
        {"classes": []},
        {"classes": -1},
        {"classes": 28},
        {"classes": "top29"},
        {"activation": "conv1"},
        {"activation": "no_layer:3"},
        {"activation": "conv1/7x7_s2:999"},
        {"aggregate": "mean"},
        {"placement": "left"},
        {"score": "loss"},
        {"threads": 0},
        {"threads": 9999},
        {"max_memory": "much"},
    ],
)
def test_options_outside_their_range_have_the_words_of_the_command(net, tmp_path, options):
    with pytest.raises(ValueError) as refused:
        net.explain(PHOTOGRAPH, **options, progress=False)
    (name, value), *_ = options.items()
    join = "x" if name in ("mask_size", "stride") else ","
    value = value if isinstance(value, (str, int, float)) else join.join(map(str, value))
    done = command("explain", PHOTOGRAPH, "--out", tmp_path, f"--{name.replace('_', '-')}={value}")
    assert done.returncode != 0 and str(refused.value) in done.stderr


def test_too_little_memory_is_an_error(net):
    with pytest.raises((ValueError, MemoryError), match="--max-memory"):
        net.explain(PHOTOGRAPH, max_memory=1000, progress=False)


def test_progress_is_told_to_the_end(net):
    told = []
    net.explain(PHOTOGRAPH, **SMALL, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (20, 20) and len(told) > 1
    assert all(0 < done <= 20 == total for done, total in told)


def test_a_bar_of_tqdm(net, capfd):
    pytest.importorskip("tqdm")
    net.explain(PHOTOGRAPH, stride=11, progress=True)
    assert "positions" in capfd.readouterr().err
    # Standard error is no terminal.
    net.explain(PHOTOGRAPH, **SMALL)
    assert capfd.readouterr().err == ""


def test_coarse_maps_come_first(net):
    coarse = []
    maps = net.explain(PHOTOGRAPH, progressive=coarse.append, progress=False)
    assert len(coarse) == 2 and all(found.maps.shape == maps.maps.shape for found in coarse)
    assert (coarse[0].maps[:, ::4, ::4] == maps.maps[:, ::4, ::4]).all()
    assert (coarse[0].maps != maps.maps).any()
    plain = net.explain(PHOTOGRAPH, progress=False)
    assert (plain.scores == maps.scores).all()


class Enough(Exception):
    pass


def stop(*_):
    raise Enough("enough")


# These sweeps would take hours.
ENDLESS = {"stride": 1, "exhaustive": True}


@pytest.mark.parametrize("options", [{"progress": stop}, {"progressive": stop, "stride": 8, "exhaustive": False, "progress": False}])
def test_an_exception_of_a_function_ends_the_sweep(net, options):
    with pytest.raises(Enough, match="enough"):
        net.explain(PHOTOGRAPH, **{**ENDLESS, **options})


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_ends_the_sweep_and_the_network_stays_usable(net, small):
    def interrupt(done, total):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        net.explain(PHOTOGRAPH, **ENDLESS, progress=interrupt)
    # Also without a function that runs Python.
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        net.explain(PHOTOGRAPH, **ENDLESS, progress=False)
    again = net.explain(PHOTOGRAPH, classes="top2", **SMALL, progress=False)
    assert (again.scores == small.scores).all()


def test_python_runs_during_a_sweep(net):
    """A sweep that held Python's lock would let no other thread count."""
    done, counts = threading.Event(), [0]

    def count():
        while not done.is_set():
            counts[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    before = counts[0]
    net.explain(PHOTOGRAPH, **SMALL, progress=False)
    after = counts[0]
    done.set()
    counter.join()
    assert after - before > 10_000


def test_threads_share_a_network(net, rgb):
    turned = [rgb, rgb[:, ::-1], rgb[::-1], rgb[::-1, ::-1]]

    def scores(image):
        return net.explain(image, **SMALL, threads=2, progress=False).scores.tobytes()

    expected = [scores(image) for image in turned]
    assert len(set(expected)) == 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(scores, turned)) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_may_use_the_network(net, small):
    """Workers of PyTorch's DataLoader are forked after the network has been used."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def explain():
        sender.send(net.explain(PHOTOGRAPH, classes="top2", **SMALL, progress=False).scores.tobytes())

    process = fork.Process(target=explain)
    process.start()
    assert receiver.poll(120), "the forked process hangs"
    assert receiver.recv() == small.scores.tobytes()
    process.join()


def test_truth_values_of_numpy_and_where_none_are_expected(net):
    import numpy as np

    from occlude._options import words

    assert words(exhaustive=np.bool_(True), mask_clipping=np.False_) == ["--exhaustive", "--mask-clipping=off"]
    assert words(exhaustive=False, faithfulness=np.False_) == []
    with pytest.raises(TypeError, match="mask_size=True is not possible"):
        net.explain(np.zeros((8, 8), "uint8"), mask_size=True)
