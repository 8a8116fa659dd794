"""Classifiers in files: equal to the network they came from, and nothing else is read."""

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from bigmodel_lib import deployment
from bigmodel_lib.deployment import (
    DIGIT,
    ModelFileError,
    Signature,
    export_onnx,
    load_classifier,
    probabilities,
    quantize_int8,
    save_weights,
)
from bigmodel_lib.training.checkpoint import save_tensors
from tests import onnx_models
from tests.onnx_models import SMALL, write
from tests.trained import classifier, digits


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """The digit classifier as float32 ONNX, int8 ONNX and safetensors."""
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / name for name in ("float32.onnx", "int8.onnx", "weights.safetensors")}
    export_onnx(classifier(), paths["float32.onnx"])
    batches = [part.numpy() for part in digits("train").images[:256].split(64)]
    quantize_int8(paths["float32.onnx"], paths["int8.onnx"], batches)
    save_weights(classifier(), paths["weights.safetensors"])
    return paths


@pytest.fixture
def images() -> torch.Tensor:
    return digits("test").images[:13]


# --- parity ---


@pytest.mark.parametrize("name", ["float32.onnx", "weights.safetensors"])
@pytest.mark.parametrize("count", [1, 13])
def test_a_file_gives_the_networks_scores_for_any_batch(files, images, name, count):
    loaded = load_classifier(files[name])
    with torch.no_grad():
        expected = classifier()(images[:count])
    assert loaded.signature == DIGIT
    found = loaded(images[:count].numpy())
    assert found.shape == (count, 10)
    torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-4, atol=1e-4)


def test_int8_is_a_third_of_the_size_and_nearly_as_right(files):
    exact, coarse = load_classifier(files["float32.onnx"]), load_classifier(files["int8.onnx"])
    test = digits("test")
    scores = {"exact": exact(test.images.numpy()), "coarse": coarse(test.images.numpy())}
    right = {k: (v.argmax(1) == test.labels.numpy()).mean() for k, v in scores.items()}
    assert not np.array_equal(scores["exact"], scores["coarse"])
    assert right["coarse"] >= right["exact"] - 0.02
    assert files["int8.onnx"].stat().st_size < 0.35 * files["float32.onnx"].stat().st_size
    assert coarse.signature == DIGIT


def test_export_leaves_a_network_in_training_and_writes_what_it_does_at_test_time(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 2))
    network(torch.randn(7, 3))  # moves the running statistics off their first values
    export_onnx(network, tmp_path / "n.onnx", Signature((3,), -1.0, 1.0, 2))
    assert network.training
    x = torch.randn(5, 3)
    with torch.no_grad():
        expected = network.eval()(x)
    found = torch.tensor(load_classifier(tmp_path / "n.onnx")(x.numpy()))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_exporting_says_nothing(tmp_path, capfd, recwarn):
    export_onnx(nn.Linear(3, 2), tmp_path / "n.onnx", Signature((3,), -1.0, 1.0, 2))
    assert capfd.readouterr() == ("", "")
    assert not recwarn


def test_the_small_model_of_these_tests_is_read_as_numpy_has_it(tmp_path):
    loaded = load_classifier(write(tmp_path / "small.onnx"))
    x = np.linspace(-2, 3, 7 * 6, dtype=np.float32).reshape(7, 2, 3)
    assert loaded.signature == SMALL
    np.testing.assert_allclose(loaded(x), onnx_models.scores(x), rtol=1e-5, atol=1e-5)


def test_onnx_from_elsewhere_has_no_range(tmp_path):
    found = load_classifier(write(tmp_path / "small.onnx", signature=None)).signature
    largest = float(np.finfo(np.float32).max)
    assert found == Signature((2, 3), -largest, largest, 5)


def test_onnx_is_served_without_pytorch(tmp_path):
    path = write(tmp_path / "small.onnx")
    code = (
        "import sys; from bigmodel_lib import serve; from bigmodel_lib.deployment import *; "
        f"load_classifier({str(path)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- refused ---


class Payload:
    """A pickle of this writes a file when it is loaded."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "ran")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".onnx", ".safetensors", ""])
@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_pickle_is_refused_and_never_runs(tmp_path, suffix, kind):
    path, trap = tmp_path / f"model{suffix}", tmp_path / "trap"
    torch.save(Payload(trap), path) if kind == "torch" else path.write_bytes(
        pickle.dumps(Payload(trap))
    )
    with pytest.raises(ModelFileError, match=r"pickle"):
        load_classifier(path)
    assert not trap.exists()
    data = path.read_bytes()
    torch.load(io.BytesIO(data), weights_only=False) if kind == "torch" else pickle.loads(data)
    assert trap.exists()  # the trap was a real one


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelFileError, match=r"cannot read .*none\.onnx: No such file"):
        load_classifier(tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["float32.onnx", "weights.safetensors"])
@pytest.mark.parametrize("kept", [0, 3, 1000])
def test_a_file_cut_short(files, tmp_path, name, kept):
    path = tmp_path / name
    path.write_bytes(files[name].read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=name):
        load_classifier(path)


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [
        ({"w": torch.ones(2)}, {}),
        ({"w": torch.ones(2)}, {"architecture": "os.system"}),
        ({"w": torch.ones(2)}, {"architecture": "DigitCNN"}),
    ],
)
def test_safetensors_of_something_else(tmp_path, tensors, facts):
    save_tensors(tmp_path / "m.safetensors", tensors, facts)
    with pytest.raises(ModelFileError, match="was not written by save_weights"):
        load_classifier(tmp_path / "m.safetensors")


def test_weights_of_an_unknown_network_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match=r"need a network of \['DigitCNN'\], got Linear"):
        save_weights(nn.Linear(3, 2), tmp_path / "m.safetensors")


def test_onnx_that_reads_further_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for them
    external = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    path = write(tmp_path / "small.onnx", **external)
    assert (tmp_path / "w.bin").exists()
    with pytest.raises(ModelFileError, match="keeps weights in further files"):
        load_classifier(path)


NODE = helper.make_node
SECOND = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 2])


@pytest.mark.parametrize(
    "difference",
    [
        {"inputs": (4, 2, 3)},
        {"inputs": ("batch", "any", 3)},
        {"inputs": ("batch",)},
        {"kind": TensorProto.DOUBLE, "operations": [NODE("Identity", ["x"], ["y"])]},
        {"more_inputs": [SECOND]},
        {"operations": [NODE("Identity", ["x"], ["y"])]},
        {"operations": [NODE("ReduceMax", ["x"], ["y"], axes=[1, 2], keepdims=0)]},
        {"operations": [NODE("Unknown", ["x"], ["y"])]},
        {"operations": [NODE("MatMul", ["x", "w"], ["y"])]},
    ],
    ids=str,
)
def test_onnx_that_is_no_classifier_of_batches(tmp_path, difference):
    path = write(tmp_path / "small.onnx", **difference)
    with pytest.raises(ModelFileError, match=r"small\.onnx"):
        load_classifier(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ()},
        {"shape": (0, 3)},
        {"classes": 1},
        {"low": 3.0},
        {"high": float("inf")},
        {"low": float("nan")},
    ],
    ids=str,
)
def test_a_signature_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="need "):
        Signature(**vars(SMALL) | wrong)


# --- softmax ---


def test_probabilities_are_torchs_softmax():
    scores = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32) * 100
    expected = torch.tensor(scores).double().softmax(1).numpy()
    np.testing.assert_allclose(probabilities(scores), expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_score_that_is_not_finite_never_looks_like_a_sure_prediction(bad):
    scores = np.array([[0.0, bad, 1.0], [0.0, 1.0, 2.0]], np.float32)
    found = probabilities(scores)
    assert np.isfinite(found[1]).all()
    assert np.isnan(found[0]).any() or found[0, 1] == 0  # -inf is a probability of 0


def test_what_is_exported_is_onnx_by_its_own_checker(files):
    onnx.checker.check_model(onnx.load_from_string(files["float32.onnx"].read_bytes()), True)
    assert deployment.KEY in {p.key for p in onnx.load(files["int8.onnx"]).metadata_props}
