"""Loading a network, classification, Grad-CAM."""

import copy
import pickle

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
    with pytest.raises(FileNotFoundError, match="^cannot read missing.safetensors: no such file"):
        occlude.GoogLeNet("missing.safetensors")
    for wrong in (b"builtin", bytearray(5), 7, ["builtin"]):
        with pytest.raises(TypeError, match=f'^weights is {type(wrong).__name__}, expected a path .* or "builtin"'):
            occlude.GoogLeNet(wrong)
    (tmp_path / "no.safetensors").write_bytes(b"no weights, but long enough to look at")
    with pytest.raises(occlude.WeightsError, match="no.safetensors: "):
        occlude.GoogLeNet(tmp_path / "no.safetensors")
    weights = tmp_path / "copy.safetensors"
    weights.write_bytes((ROOT / "weights/builtin.safetensors").read_bytes())
    other = occlude.GoogLeNet(weights)
    assert other.classify(PHOTOGRAPH) == occlude.GoogLeNet("builtin").classify(PHOTOGRAPH)
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
    for end in ("\n", "\r", "\r\n"):
        with pytest.raises(occlude.LabelsError, match=r"^labels\[3\] is 'two.*lines', expected the name of one class"):
            occlude.GoogLeNet("builtin", labels=[*names[:3], f"two{end}lines", *names[5:]])
    with pytest.raises(TypeError, match=r"^labels\[1\] is int, expected a name as str"):
        occlude.GoogLeNet("builtin", labels=["one", 2])
    for wrong in (b"names.txt", 7):
        with pytest.raises(TypeError, match=f"^labels is {type(wrong).__name__}, expected a path"):
            occlude.GoogLeNet("builtin", labels=wrong)


def test_a_pickled_network_is_loaded_again(tmp_path, monkeypatch, net):
    assert copy.deepcopy(net) is net and copy.deepcopy([net])[0] is net
    restored = pickle.loads(pickle.dumps(net))
    assert restored is not net and restored.classify(PHOTOGRAPH) == net.classify(PHOTOGRAPH)
    names = [f"name {i}" for i in range(28)]
    weights = tmp_path / "copy.safetensors"
    weights.write_bytes((ROOT / "weights/builtin.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(names))
    for options in ({"labels": names}, {"labels": "names.txt", "resize": "pad"}):
        ours = occlude.GoogLeNet("copy.safetensors", **options)
        pickled = pickle.dumps(ours)
        assert len(pickled) < 2000
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir(tmp_path.parent)
            restored = pickle.loads(pickled)
        assert restored.labels == names and restored.classify(PHOTOGRAPH) == ours.classify(PHOTOGRAPH)
    # The same network in another file.
    edited = weights.read_bytes()
    weights.write_bytes(edited[:-1] + bytes([edited[-1] ^ 1]))
    with pytest.raises(occlude.WeightsError, match="copy.safetensors: has changed since the network was pickled"):
        pickle.loads(pickled)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="copy.safetensors: no such file"):
        pickle.loads(pickled)


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
    with pytest.raises(FileNotFoundError, match="missing: no such file, .* OCCLUDE_WEIGHTS"):
        occlude.GoogLeNet()
