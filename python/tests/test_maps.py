"""Files, the report and the plot."""

import html
import json

import numpy as np
import pytest

import occlude
from conftest import PHOTOGRAPH, command, printed

RUN = ("elapsed_seconds", "threads")


def explained(net, **options):
    return net.explain(PHOTOGRAPH, classes="top2", mask_size=(80, 60), stride=(56, 50), progress=False, **options)


def same(ours, theirs):
    """True if the files of two folders are the same, but for the time."""
    names = sorted(path.name for path in theirs.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names
    for name in names:
        a, b = (ours / name).read_bytes(), (theirs / name).read_bytes()
        if name == "map.json":
            a, b = ({**json.loads(text), **dict.fromkeys(RUN)} for text in (a, b))
        assert a == b, name


def test_the_files_are_those_of_the_command(net, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    words = ("--classes", "top2", "--mask-size", "80x60", "--stride", "56x50", "--out", theirs)
    written = explained(net, activation="conv2/3x3:5").save(
        ours, arrays=["npz", "npy", "safetensors"], show=["drop", "class", "score"], colours="diverging", scale=0.5,
        canvas="network", opacity=0.25, mark=False, format="svg", upsampling="nearest", colour_range="minmax",
    )  # fmt: skip
    assert sorted(written) == sorted(ours.iterdir())
    done = command(
        *("explain", PHOTOGRAPH, *words, "--activation", "conv2/3x3:5", "--arrays", "npz,npy,safetensors"),
        *("--show", "drop,class,score", "--colours", "diverging", "--scale", "0.5", "--canvas", "network"),
        *("--opacity", "0.25", "--mark", "off", "--format", "svg", "--upsampling", "nearest"),
        *("--colour-range", "minmax"),
    )
    assert done.returncode == 0, done.stderr
    same(ours, theirs)


def test_the_default_files(small, tmp_path):
    names = [path.name for path in small.save(tmp_path / "new" / "folder")]
    assert len(names) == 4 and "map.json" in names and "maps.npz" in names
    with np.load(tmp_path / "new" / "folder" / "maps.npz") as arrays:
        assert (arrays["maps"] == small.maps).all()
    assert json.loads(small.json())["maps"] == json.loads((tmp_path / "new/folder/map.json").read_text())["maps"]
    assert "maps.npz" not in [path.name for path in small.save(tmp_path / "few", arrays=[])]


def test_a_folder_that_cannot_be_written(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        small.save(tmp_path / "file")
    with pytest.raises(OSError, match="cannot write"):
        small.report(tmp_path / "file" / "report.html")
    with pytest.raises(ValueError, match="--opacity"):
        small.save(tmp_path / "new", opacity=2)
    with pytest.raises(ValueError, match="--show"):
        small.save(tmp_path / "new", show=[])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_report_is_that_of_the_command(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps = explained(net)
    assert maps.report("report.html", colours="viridis").name == "report.html"
    ours = (tmp_path / "report.html").read_text()
    done = command(
        *("explain", PHOTOGRAPH, "--classes", "top2", "--mask-size", "80x60", "--stride", "56x50"),
        *("--report", "report.html", "--colours", "viridis"),
    )
    assert done.returncode == 0, done.stderr
    theirs = (tmp_path / "report.html").read_text()

    def lines(page):
        return [line for line in page.split("\n") if "elapsed_seconds" not in line and "Time of the sweep" not in line]

    assert len(lines(ours)) > 100 and lines(ours) == lines(theirs)


def test_a_notebook_shows_the_report(small, tmp_path):
    shown = small._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!') and 'sandbox="allow-scripts"' in shown
    page = html.unescape(shown.split('srcdoc="')[1].split('"')[0])
    small.report(tmp_path / "report.html")
    assert page.replace("report.html", "") == (tmp_path / "report.html").read_text().replace(
        str(tmp_path / "report.html"), ""
    )


def test_maps_of_pixels_have_files_too(net, rgb, tmp_path):
    maps = net.explain(rgb, stride=112, progress=False)
    assert maps.info["image"] == "array"
    assert (tmp_path / f"array-{maps.labels[0].lower().replace(' ', '-')}.png") in maps.save(tmp_path)


def test_regions_are_those_of_the_command(net, rgb):
    words = ("--classes", "top2", "--mask-size", "80x60", "--stride", "56x50", "--tile", 112)
    expected = printed("region", PHOTOGRAPH, *words, "--threshold", "0.4")["classes"]
    maps = explained(net)
    for k, theirs in enumerate(expected):
        region = maps.region(k, threshold=0.4)
        assert region.pixels.shape == rgb.shape[:2] and region.pixels.dtype == bool
        assert np.float32(region.level) == np.float32(theirs["evidence"]["level"])
        found = [(list(part.box), [line.tolist() for line in part.contours]) for part in region.parts]
        assert found == [(part["box"], part["contours"]) for part in theirs["evidence"]["parts"]]
        assert sum(part.area for part in region.parts) == region.pixels.sum() > 0
    assert maps.region(threshold="otsu").level != maps.region().level
    with pytest.raises(ValueError, match="--threshold"):
        maps.region(threshold=2)
    with pytest.raises(IndexError):
        maps.region(2)


def test_the_plot(small):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    ax = small.plot(1)
    picture, drawn = ax.images
    assert (np.asarray(picture.get_array()) == small.picture).all()
    assert (np.asarray(drawn.get_array()) == small.upsampled[1]).all()
    assert drawn.get_clim() == (-np.abs(small.upsampled[1]).max(), np.abs(small.upsampled[1]).max())
    assert small.labels[1] in ax.get_title()
    assert small.plot(ax=ax) is ax and small.labels[0] in ax.get_title()
    ax.figure.canvas.draw()


def test_the_plot_of_a_region_lies_at_its_place(net):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    maps = net.explain(PHOTOGRAPH, region=(40, 60, 180, 200), resize="pad", progress=False)
    y0, x0, y1, x1 = maps.area
    ax = maps.plot()
    assert ax.images[1].get_extent() == [x0, x1, y1, y0] and ax.get_aspect() == 1.0
    assert isinstance(maps, occlude.Maps)
