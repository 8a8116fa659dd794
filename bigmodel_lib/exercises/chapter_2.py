"""Tasks of chapter 2: what a model holds, what it costs, and what goes in."""

import math
import random

import torch
from torch import Tensor

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal
from bigmodel_lib.models.transformer import Block, GPTConfig

# --- 2.1 parameters of a GPT -------------------------------------------------------------


def _total(L: int, D: int, V: int, T: int) -> int:
    """As the library counts them, which is tested against models that are built."""
    return int(count_parameters(GPTConfig(V=V, T=T, L=L, D=D, H=1)).total)


count = CodeTask(
    name="2.1 The parameters of a GPT",
    draw=lambda dice: (
        dice.randint(3, 9),
        64 * dice.randint(2, 9),
        dice.randint(900, 3000),
        dice.choice([64, 128, 256]),
    ),
    right=_total,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "matrices alone",
            "these are the matrices of the layers and the embeddings. Each linear layer has a "
            "bias, and each normalisation two vectors",
            "expected",
            lambda L, D, V, T: 12 * L * D**2 + (V + T) * D,
        ),
        Mistake(
            "counts the vocabulary twice",
            "the matrix that gives the scores is the embedding itself: tied, so it counts once",
            "expected",
            lambda L, D, V, T: _total(L, D, V, T) + V * D,
        ),
        Mistake(
            "forgets the positions",
            "each of the T positions has a learned vector, too",
            "expected",
            lambda L, D, V, T: _total(L, D, V, T) - T * D,
        ),
        Mistake(
            "forgets the last normalisation",
            "one normalisation stands behind the last layer",
            "expected",
            lambda L, D, V, T: _total(L, D, V, T) - 2 * D,
        ),
    ),
)

# --- 2.1 memory to train -----------------------------------------------------------------

memory = NumberTask(
    name="2.1 Memory to train",
    draw=lambda dice: (dice.choice([70, 160, 350, 410, 774]),),
    right=lambda millions: 16 * millions / 1000,
    unit="GB",
    mistakes=(
        Mistake(
            "weights alone",
            "this holds the weights alone. What else must be there for each weight while training?",
            "expected",
            lambda millions: 4 * millions / 1000,
        ),
        Mistake(
            "forgets the optimiser",
            "weights and gradients are there. Adam remembers something for each weight, too",
            "expected",
            lambda millions: 8 * millions / 1000,
        ),
        Mistake(
            "one moment",
            "Adam remembers two numbers for each weight, not one",
            "expected",
            lambda millions: 12 * millions / 1000,
        ),
        Mistake(
            "keeps a second copy",
            "a second, more exact copy of the weights belongs to training in 16 bits; here they "
            "are exact already",
            "expected",
            lambda millions: 20 * millions / 1000,
        ),
        Mistake(
            "bits for bytes",
            "float32 is 32 bits: how many bytes is that?",
            "expected",
            lambda millions: 128 * millions / 1000,
        ),
    ),
)

# --- 2.1 the model builder ---------------------------------------------------------------

LAYER = {D: 12 * D**2 + 13 * D for D in (512, 768, 1024)}
VOCABULARY, CONTEXT = 50257, 1024


def _layers(D: int, millions: int, *, embeddings: int = 1, layer: int | None = None) -> int:
    """The most layers within a budget, with 0, 1 or 2 embeddings of the vocabulary."""
    fixed = embeddings * VOCABULARY * D + (CONTEXT * D if embeddings else 0) + 2 * D
    return (millions * 10**6 - fixed) // (layer or LAYER[D])


layers = NumberTask(
    name="2.1 The deepest model within a budget",
    draw=lambda dice: (dice.choice(list(LAYER)), dice.choice([150, 170, 190, 210, 230])),
    right=_layers,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "forgets the embeddings",
            "the layers alone fit, but vocabulary and positions take part of the budget",
            "expected",
            lambda D, millions: _layers(D, millions, embeddings=0),
        ),
        Mistake(
            "counts the vocabulary twice",
            "the vocabulary's matrix serves at both ends and counts once. Look at the summary line",
            "expected",
            lambda D, millions: _layers(D, millions, embeddings=2),
        ),
        Mistake(
            "forgets the MLP",
            "4 D² is attention alone; the MLP behind it is twice as large",
            "expected",
            lambda D, millions: _layers(D, millions, layer=4 * D**2 + 4 * D),
        ),
        Mistake(
            "one too many",
            "the budget is exceeded: this is the first model that does not fit",
            "expected",
            lambda D, millions: _layers(D, millions) + 1,
        ),
    ),
)

# --- 2.1 twice the width -----------------------------------------------------------------


def _growth(D: int) -> str:
    """How a layer grows from width D to 2D."""
    with torch.device("meta"):
        small, large = (sum(w.numel() for w in Block(k * D, 1).parameters()) for k in (1, 2))
    return {2: "a", 4: "b", 8: "c", 16: "d"}[2 ** round(math.log2(large / small))]


width = Prediction(
    name="2.1 Twice the width",
    draw=lambda dice: (64 * dice.randint(4, 12),),
    right=_growth,
    options={
        "a": "twice as many parameters",
        "b": "about 4 times as many",
        "c": "about 8 times as many",
        "d": "about 16 times as many",
    },
    mistakes=(
        Mistake(
            "thinks of vectors",
            "a vector doubles with the width. A matrix has it on both sides",
            "expected",
            lambda D: "a",
        ),
        Mistake(
            "counts depth, too",
            "only the width doubles; the number of matrices stays",
            "expected",
            lambda D: "c",
        ),
        Mistake(
            "squares twice",
            "the hidden layer of the MLP is 4 times as wide as the model, before and after: "
            "that factor does not change",
            "expected",
            lambda D: "d",
        ),
    ),
)

# --- 2.2 patches -------------------------------------------------------------------------


def _patches(images: Tensor, P: int) -> Tensor:
    """Images (B, C, H, W) to (B, H/P · W/P, C·P·P), each patch in the order of its pixels."""
    B, C, H, W = images.shape
    cut = images.reshape(B, C, H // P, P, W // P, P).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(B, (H // P) * (W // P), C * P * P)


def _pictures(dice: random.Random) -> tuple[Tensor, int]:
    return normal(dice, 2, 3, 12, 20), dice.choice([2, 4])


patches = CodeTask(
    name="2.2 An image as a sequence of patches",
    draw=_pictures,
    right=_patches,
    mistakes=(
        Mistake(
            "reshapes at once",
            "the shape is right, but each row holds a strip of pixels, not a square. Split both "
            "axes, then bring the two small ones together",
            "https://github.com/duoan/TorchCode/issues/21",
            lambda x, P: x.reshape(len(x), -1, x.shape[1] * P * P),
        ),
        Mistake(
            "reads the patches by column",
            "each patch is right, but their order runs down the columns of the image",
            "expected",
            lambda x, P: _patches(x.mT, P).reshape(len(x), -1, 3, P, P).mT.flatten(2),
        ),
        Mistake(
            "transposes each patch",
            "each patch is on its side: its rows have become columns",
            "expected",
            lambda x, P: _patches(x, P).reshape(len(x), -1, 3, P, P).mT.flatten(2),
        ),
        Mistake(
            "channels last",
            "the colours of a pixel stand together; here a patch has one channel after the other",
            "https://github.com/cloneofsimo/minRF/issues/6",
            lambda x, P: _patches(x, P).reshape(len(x), -1, 3, P * P).mT.flatten(2),
        ),
    ),
)
