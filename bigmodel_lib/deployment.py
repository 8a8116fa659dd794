"""A trained classifier as a file: safetensors or ONNX, float32 or int8, and back.

Both formats hold numbers and a description, and nothing that runs when it is loaded. A pickle,
which `torch.save` writes, can run any code: none is ever read here.

Shapes: B batch, C classes. PyTorch, which takes seconds to import, is imported only where a
network is needed: a service of an ONNX file does without.
"""

import json
import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import nn

KEY = "bigmodel_lib"  # of our facts in an ONNX file's metadata
PICKLES = (b"PK\x03\x04", b"\x80")  # how torch.save's files begin, and bare pickles
FLOAT32 = float(np.finfo(np.float32).max)


class ModelFileError(RuntimeError):
    """A model file that is not there, is damaged, or is of a kind that is not read."""


@dataclass(frozen=True)
class Signature:
    """What a classifier takes and gives.

    Attributes:
        shape: of one input, without the batch.
        low, high: the range of its values, both ends included.
        classes: how many scores it gives for each input.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    classes: int

    def __post_init__(self):
        if not (self.shape and min(self.shape) >= 1 and self.classes >= 2):
            raise ValueError(f"need a shape of sizes >= 1 and at least 2 classes, got {self}")
        if not -FLOAT32 <= self.low < self.high <= FLOAT32:
            raise ValueError(f"need low < high, both finite in float32, got {self}")


DIGIT = Signature(shape=(1, 28, 28), low=-1.0, high=1.0, classes=10)


class Classifier(Protocol):
    """A classifier read from a file."""

    signature: Signature

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (B, *shape) float32 to scores (B, C)."""


# --- from a network to a file ---


def save_weights(model: "nn.Module", path: str | Path, signature: Signature = DIGIT) -> None:
    """Write a network's weights as safetensors, with its name and signature in the header.

    Raises:
        ValueError: a network that `load_classifier` could not build again.
    """
    from bigmodel_lib.training.checkpoint import save_tensors

    name = type(model).__name__
    if name not in _architectures():
        raise ValueError(f"need a network of {sorted(_architectures())}, got {name}")
    facts = {"architecture": name, "signature": asdict(signature)}
    save_tensors(path, model.state_dict(), facts)


def export_onnx(model: "nn.Module", path: str | Path, signature: Signature = DIGIT) -> None:
    """Write a network as ONNX: its graph of operations, its weights, and its signature.

    `torch.export` records the operations of one forward pass in evaluation mode, for any size
    of the batch; they are then translated to ONNX's. Batch norm folds into the convolutions.

    Args:
        model: inputs (B, *shape) → scores (B, C); on the CPU.
        path: the file, written anew.
        signature: kept in the file for whoever serves it.
    """
    import torch

    example = torch.zeros(2, *signature.shape)
    training = model.training
    try:
        batch = {0: torch.export.Dim("batch")}
        with _quiet():
            graph = torch.export.export(model.eval(), (example,), dynamic_shapes=(batch,))
            names = {"input_names": ["inputs"], "output_names": ["scores"]}
            program = torch.onnx.export(graph, dynamo=True, verbose=False, **names)
    finally:
        model.train(training)
    program.model.metadata_props[KEY] = json.dumps(asdict(signature))
    program.save(path)


def quantize_int8(source: str | Path, target: str | Path, batches: Iterable[np.ndarray]) -> None:
    """Write an ONNX classifier anew with weights and activations in 8 bits.

    A real number r becomes a whole one q with r ≈ S (q - Z), -128 ≤ q ≤ 127: scale S and zero
    point Z for each channel of the weights, and for each activation by the range that it takes
    on the given batches. -- Jacob et al. 2017, eq. 1, arXiv:1712.05877.

    Args:
        source, target: ONNX files.
        batches: typical inputs (B, *shape) float32, from the training data.
    """
    from onnxruntime.quantization import QuantType, quantize_static

    kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    with _quiet():
        quantize_static(source, target, _Batches(batches), per_channel=True, **kinds)


class _Batches:
    """What ONNX Runtime reads typical inputs from."""

    def __init__(self, batches: Iterable[np.ndarray]):
        self._rest = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._rest, None)
        return None if batch is None else {"inputs": batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes of exporters, which speak of optional packages and of tuning."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(before)


# --- from a file to a classifier ---


def load_classifier(path: str | Path, threads: int = 1) -> Classifier:
    """Read a classifier from a .safetensors or .onnx file.

    Args:
        path: the file.
        threads: that one call may use.

    Raises:
        ModelFileError: no such file, one of another kind (a pickle above all), damaged, or a
            model that is no classifier of batches of any size.
    """
    path = Path(path)
    loaders = {".safetensors": TorchClassifier, ".onnx": OnnxClassifier}
    if path.suffix not in loaders:
        raise ModelFileError(
            f"need a .safetensors or .onnx file, got {path.name}: other kinds, pickles such as "
            ".pt and .pth above all, may run code when they are loaded"
        )
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}") from error
    if start.startswith(PICKLES):
        raise ModelFileError(f"{path.name} is a pickle inside, which may run code: refused")
    return loaders[path.suffix](path, threads)


class OnnxClassifier:
    """A classifier that ONNX Runtime runs on the CPU; see `load_classifier`."""

    def __init__(self, path: Path, threads: int = 1):
        import onnxruntime

        data = path.read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            facts = _onnx_facts(data, path)
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
            self.signature = self._read_signature(facts, path)
        except ModelFileError:
            raise
        except Exception as error:  # those of ONNX and its Runtime have no class of their own
            raise ModelFileError(f"{path.name} is no ONNX that can be run: {error}") from error

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (B, *shape) float32 to scores (B, C)."""
        return self._session.run(None, {self._input: inputs})[0]

    def _read_signature(self, facts: dict, path: Path) -> Signature:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found = [(one.type, one.shape) for one in (*inputs, *outputs)]
        ranks = [len(shape) for _, shape in found]
        one_each = len(inputs) == len(outputs) == 1
        if not one_each or min(ranks) < 2 or not _takes_any_batch(inputs[0]):
            raise ModelFileError(
                f"need one float32 input with a free batch and fixed other sizes, and one "
                f"output; {path.name} has {found}"
            )
        self._input = inputs[0].name
        shape = tuple(inputs[0].shape[1:])
        scores = self(np.zeros((2, *shape), np.float32))
        if scores.ndim != 2 or len(scores) != 2 or scores.shape[1] < 2:
            raise ModelFileError(f"need scores (B, C), {path.name} gives {scores.shape} for B = 2")
        limits = {"low": facts.get("low", -FLOAT32), "high": facts.get("high", FLOAT32)}
        return Signature(shape=shape, classes=scores.shape[1], **limits)


def _takes_any_batch(given) -> bool:
    batch, *sizes = given.shape
    return (
        given.type == "tensor(float)"
        and not isinstance(batch, int)
        and all(isinstance(size, int) for size in sizes)
    )


def _onnx_facts(data: bytes, path: Path) -> dict:
    """What our exporter noted in the file; refuses one that reads further files."""
    import onnx

    model = onnx.load_model_from_string(data)
    for part in _messages(model):
        if isinstance(part, onnx.TensorProto) and part.data_location == part.EXTERNAL:
            raise ModelFileError(f"{path.name} keeps weights in further files: refused")
    return json.loads(next((p.value for p in model.metadata_props if p.key == KEY), "{}"))


def _messages(message) -> Iterator:
    """A protobuf message and all that it holds, at any depth."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)


class TorchClassifier:
    """A classifier that PyTorch runs on the CPU; see `load_classifier`."""

    def __init__(self, path: Path, threads: int = 1):
        import torch

        from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors

        torch.set_num_threads(threads)
        try:
            tensors, facts = load_tensors(path)
            network = _architectures()[facts["architecture"]]
            self._model = network().eval()
            self._model.load_state_dict(tensors)
            limits = facts["signature"]
        except CheckpointError as error:
            raise ModelFileError(str(error)) from error
        except (KeyError, RuntimeError) as error:
            raise ModelFileError(f"{path.name} was not written by save_weights: {error}") from error
        self.signature = Signature(**limits | {"shape": tuple(limits["shape"])})

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (B, *shape) float32 to scores (B, C)."""
        import torch

        with torch.inference_mode():
            return self._model(torch.from_numpy(inputs)).numpy()


def _architectures() -> dict[str, type]:
    """Networks that a file may name: a file names one of these, and never code."""
    from bigmodel_lib.models.cnn import DigitCNN

    return {"DigitCNN": DigitCNN}


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax of each row (B, C), in float64; NaN where a score is not finite."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores.astype(float) - scores.max(axis=1, keepdims=True, initial=-math.inf))
        return powers / powers.sum(axis=1, keepdims=True)
