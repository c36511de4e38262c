"""Loading a network, classification, Grad-CAM."""

import numpy as np
import pytest

import occlude
from conftest import PHOTOGRAPH, ROOT, command, printed


def test_classes_are_those_of_the_command(net):
    found = printed("classify", PHOTOGRAPH, "--top", 3)["classes"]
    assert len(found) == 3
    for ours, theirs in zip(net.classify(PHOTOGRAPH, top=3), found):
        assert (ours.index, ours.label) == (theirs["index"], theirs["label"])
        assert np.float32(ours.probability) == np.float32(theirs["probability"])
    assert len(net.classify(PHOTOGRAPH)) == 5
    assert net.name == "built-in network of 28 classes" and net.name in repr(net)
    assert net.find(net.labels[3]) == 3
    with pytest.raises(ValueError, match='no class is called "tabbyy"'):
        net.find("tabbyy")


@pytest.mark.parametrize("top", [0, 29, -1, 1.5])
def test_numbers_of_classes_that_do_not_exist(net, top):
    with pytest.raises(ValueError, match="--top") as refused:
        net.classify(PHOTOGRAPH, top=top)
    done = command("classify", PHOTOGRAPH, f"--top={top}")
    assert str(refused.value) in done.stderr


def test_weights_of_all_forms_and_their_refusal(tmp_path):
    with pytest.raises(occlude.WeightsError, match="^missing.safetensors: no such file"):
        occlude.GoogLeNet("missing.safetensors")
    (tmp_path / "no.safetensors").write_bytes(b"no weights, but long enough to look at")
    with pytest.raises(occlude.WeightsError, match="no.safetensors: "):
        occlude.GoogLeNet(tmp_path / "no.safetensors")
    weights = tmp_path / "copy.safetensors"
    weights.write_bytes((ROOT / "weights/builtin.safetensors").read_bytes())
    copy = occlude.GoogLeNet(weights)
    assert copy.classify(PHOTOGRAPH) == occlude.GoogLeNet("builtin").classify(PHOTOGRAPH)
    with pytest.raises(occlude.WeightsError, match="has transform_input on in its first layer"):
        occlude.GoogLeNet(weights, transform_input=False)


def test_labels_of_ones_own(tmp_path):
    names = [f"name {i}, other {i}" for i in range(28)]
    net = occlude.GoogLeNet("builtin", labels=names)
    assert net.labels == names and net.find("other 7") == 7
    file = tmp_path / "names.txt"
    file.write_text("\n".join(names))
    assert occlude.GoogLeNet("builtin", labels=file).labels == names
    assert net.explain(PHOTOGRAPH, "other 7", stride=224, progress=False).labels == ["name 7"]
    with pytest.raises(occlude.LabelsError, match="27"):
        occlude.GoogLeNet("builtin", labels=names[1:])
    with pytest.raises(FileNotFoundError, match="cannot read missing.txt"):
        occlude.GoogLeNet("builtin", labels="missing.txt")


def test_gradcam_is_that_of_the_command(net):
    found = printed("gradcam", PHOTOGRAPH, "--classes", "top2")
    ours = net.gradcam(PHOTOGRAPH, classes="top2")
    assert ours.classes.tolist() == [found["index"] for found in found["classes"]]
    assert ours.maps.shape == (2, 7, 7) and ours.layer == found["layer"]
    assert ours.maps.tolist() == np.float32(found["maps"]).tolist()


def test_tensors(net, rgb):
    x = net.input(PHOTOGRAPH)
    assert x.shape == (1, 3, 224, 224) and x.dtype == np.float32
    flat = net.input(np.full((5, 5, 3), (10, 20, 30), np.uint8))
    assert flat[0, :, 7, 9].tolist() == [30 - 104, 20 - 117, 10 - 123]
    two = np.concatenate([x, net.input(rgb[:, ::-1])])
    for score, field in (("probability", "probability"), ("logit", "logit")):
        found = net.predict(two, score=score)
        assert found.shape == (2, 28)
        expected = {item.index: getattr(item, field) for item in net.classify(PHOTOGRAPH, top=28)}
        assert found[0].tolist() == [expected[i] for i in range(28)]
    assert net.predict(x[:0]).shape == (0, 28)
    for wrong in (x[0], x[:, :2], x[:, :, :5], x.transpose(0, 2, 3, 1)):
        with pytest.raises(ValueError, match="expected .n, 3, 224, 224."):
            net.predict(wrong)
    with pytest.raises(ValueError, match="finite"):
        net.predict(x * np.nan)
    with pytest.raises(ValueError, match="expected probability or logit"):
        net.predict(x, score="loss")


def test_a_network_is_found_as_by_the_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCCLUDE_WEIGHTS", str(ROOT / "weights/builtin.safetensors"))
    assert occlude.GoogLeNet().classify(PHOTOGRAPH) == occlude.GoogLeNet("builtin").classify(PHOTOGRAPH)
    monkeypatch.setenv("OCCLUDE_WEIGHTS", "missing")
    with pytest.raises((OSError, ValueError), match="missing"):
        occlude.GoogLeNet()
