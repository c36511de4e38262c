"""Photographs of all kinds, and their refusal."""

import io

import numpy as np
import pytest

import occlude
from conftest import PHOTOGRAPH, printed


def scores(net, image, **options):
    return [found.logit for found in net.classify(image, top=28, **options)]


def test_all_forms_of_a_photograph_are_the_same(net, rgb):
    expected = [found["logit"] for found in printed("classify", PHOTOGRAPH, "--top", 28)["classes"]]
    data = PHOTOGRAPH.read_bytes()
    # The command prints as many digits as distinguish floats.
    for image in (PHOTOGRAPH, str(PHOTOGRAPH), data, bytearray(data), memoryview(data), rgb, rgb / 255):
        assert np.float32(scores(net, image)).tolist() == np.float32(expected).tolist()
    # Any order in memory, and any floats.
    for image in (np.asfortranarray(rgb), rgb[::-1][::-1], (rgb / 255).astype(np.float32)):
        assert scores(net, image) == scores(net, rgb)
    # As for files with floats, half a level is rounded up.
    assert scores(net, np.full((9, 9), 0.5)) == scores(net, np.full((9, 9), 128, np.uint8))


def test_grey_is_three_equal_channels(net, rgb):
    grey = rgb[:, :, 1]
    three = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    assert scores(net, grey) == scores(net, three) == scores(net, grey / 255)


def test_pillow(net, rgb):
    Image = pytest.importorskip("PIL.Image")
    with Image.open(PHOTOGRAPH) as image:
        assert scores(net, image) == scores(net, PHOTOGRAPH)
    image = Image.fromarray(rgb)
    opaque = image.copy()
    opaque.putalpha(7)
    assert scores(net, opaque) == scores(net, rgb)
    for mode in ("L", "P", "1"):
        file = io.BytesIO()
        image.convert(mode).save(file, "png")
        assert scores(net, image.convert(mode)) == scores(net, file.getvalue()), mode
    deep = Image.fromarray((rgb[:, :, 0].astype(np.uint16) * 257 + 100).astype(np.uint16))
    file = io.BytesIO()
    deep.save(file, "png")
    assert scores(net, deep) == scores(net, file.getvalue())
    with pytest.raises(occlude.ImageError, match="mode F"):
        net.classify(image.convert("F"))


def test_pillow_is_turned_upright(net, rgb):
    Image = pytest.importorskip("PIL.Image")
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "png", exif=exif)
    assert scores(net, Image.open(file)) == scores(net, file.getvalue()) != scores(net, rgb)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((9, 9, 4), np.uint8), r"shape \(9, 9, 4\), expected \(height, width\) or .*drops the transparency"),
        (np.zeros((3, 9, 9), np.uint8), "puts the channels last"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (np.zeros((0, 9, 3), np.uint8), r"shape \(0, 9, 3\)"),
        (np.zeros((9, 9), np.int64), "type int64, expected uint8"),
        (np.zeros((9, 9), bool), "type bool, expected uint8"),
        (np.full((9, 9), 1.5), "floats from 1.5 to 1.5, expected 0 to 1; image / 255"),
        (np.full((9, 9), -0.1), "floats from -0.1 to -0.1, expected 0 to 1$"),
        (np.full((9, 9), np.nan), "floats from nan to nan"),
        (b"no photograph", "the bytes: "),
    ],
)
def test_arrays_of_other_kinds_are_refused(net, image, message):
    with pytest.raises(occlude.ImageError, match=message) as refused:
        net.classify(image)
    assert isinstance(refused.value, ValueError)


def test_other_types_are_refused(net):
    with pytest.raises(TypeError, match="image is a list, expected a path, bytes, a NumPy array"):
        net.classify([[0, 1]])
    with pytest.raises(TypeError, match="image is a NoneType"):
        net.explain(None)


def test_files_that_cannot_be_read(net, tmp_path):
    with pytest.raises(FileNotFoundError, match="^cannot read missing.png: "):
        net.classify("missing.png")
    with pytest.raises(OSError, match="it is an address, expected a file"):
        net.classify("https://example.org/cat.jpg")
    (tmp_path / "cat.jpg").write_text("no photograph")
    with pytest.raises(occlude.ImageError, match="cat.jpg: "):
        net.explain(tmp_path / "cat.jpg")
    # Standard input is for the command.
    with pytest.raises(FileNotFoundError):
        net.classify("-")


def test_each_call_may_resize_in_another_way(net, rgb):
    wide = rgb[100:200]
    ways = {way: scores(net, wide, resize=way) for way in ("stretch", "center-crop", "pad", "matlab")}
    assert len({tuple(way) for way in ways.values()}) == 4
    assert scores(occlude.GoogLeNet("builtin", resize="pad"), wide) == ways["pad"]
    with pytest.raises(ValueError, match="invalid value 'zoom' for '--resize <METHOD>': expected stretch or"):
        net.classify(wide, resize="zoom")
