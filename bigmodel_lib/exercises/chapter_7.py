"""Tasks of chapter 7: smaller, cheaper models."""

import random

import torch
from torch import Tensor, nn

from bigmodel_lib.counting import serving_memory
from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal
from bigmodel_lib.models.transformer import GPTConfig

# --- 7.3 distillation --------------------------------------------------------------------


def _distil(student: Tensor, teacher: Tensor, T: float, *, both=True, swap=False) -> Tensor:
    """T² KL(softmax(teacher/T) ‖ softmax(student/T)) -- Hinton et al. 2015, arXiv:1503.02531."""
    a, b = teacher / T, (student / T if both else student)
    a, b = (b, a) if swap else (a, b)
    gap = a.log_softmax(1) - b.log_softmax(1)
    return T**2 * (a.softmax(1) * gap).sum(1).mean()


def _scores(dice: random.Random) -> tuple[Tensor, Tensor, float]:
    return normal(dice, 7, 5), 3 * normal(dice, 7, 5), dice.choice([2.0, 3.0, 5.0])


distillation = CodeTask(
    name="7.3 The loss of distillation",
    draw=_scores,
    right=_distil,
    mistakes=(
        Mistake(
            "forgets T²",
            "the gradient of this loss shrinks as 1/T². What makes up for it?",
            "https://github.com/IntelLabs/distiller/issues/122",
            lambda student, teacher, T: _distil(student, teacher, T) / T**2,
        ),
        Mistake(
            "softens the teacher alone",
            "only the teacher's scores are divided by T; the student is compared at T = 1",
            "https://github.com/yuanli2333/Teacher-free-Knowledge-Distillation/issues/24",
            lambda student, teacher, T: _distil(student, teacher, T, both=False),
        ),
        Mistake(
            "turns the divergence round",
            "the divergence is turned round: the teacher's probabilities are the weights",
            "expected",
            lambda student, teacher, T: _distil(student, teacher, T, swap=True),
        ),
        Mistake(
            "takes the cross-entropy",
            "this is the cross-entropy of p and q: the teacher's own entropy is still in it",
            "expected",
            lambda student, teacher, T: (
                -(T**2) * ((teacher / T).softmax(1) * (student / T).log_softmax(1)).sum(1).mean()
            ),
        ),
        Mistake(
            "averages over classes, too",
            "the divergence is a sum over the classes; the mean is over the rows alone",
            "expected",
            lambda student, teacher, T: _distil(student, teacher, T) / student.shape[1],
        ),
    ),
)

# --- 7.3 int8 ----------------------------------------------------------------------------


def _eight_bits(w: Tensor, *, levels: float = 127, rows=True, cut=False) -> Tensor:
    """Each row in whole steps of its largest size / 127, and back."""
    largest = w.abs().amax(1, keepdim=True) if rows else w.abs().max()
    steps = w / (largest / levels)
    return (steps.trunc() if cut else steps.round()) * (largest / levels)


def _matrix(dice: random.Random) -> tuple[Tensor]:
    sizes = torch.tensor([[0.1], [1.0], [4.0]], dtype=torch.float64)
    return (sizes * normal(dice, 3, 11),)


eight_bits = CodeTask(
    name="7.3 Eight bits",
    draw=_matrix,
    right=_eight_bits,
    mistakes=(
        Mistake(
            "one scale for all rows",
            "one scale serves all rows, so the rows with small weights lose nearly everything",
            "expected",
            lambda w: _eight_bits(w, rows=False),
        ),
        Mistake(
            "cuts instead of rounding",
            "numbers are cut towards 0, which is wrong by up to a whole step instead of half a one",
            "expected",
            lambda w: _eight_bits(w, cut=True),
        ),
        Mistake(
            "leaves the whole numbers",
            "these are the whole numbers that are stored. Which weights do they stand for?",
            "expected",
            lambda w: (w / (w.abs().amax(1, keepdim=True) / 127)).round(),
        ),
        Mistake(
            "255 steps on one side",
            "255 steps are there from −127 to 127: 127 on each side of 0",
            "expected",
            lambda w: _eight_bits(w, levels=255),
        ),
    ),
)

# --- 7.3 LoRA ----------------------------------------------------------------------------

lora = NumberTask(
    name="7.3 What LoRA trains",
    draw=lambda dice: (
        dice.choice([768, 1024, 4096]),
        dice.choice([12, 24, 32]),
        2 ** dice.randint(2, 5),
    ),
    right=lambda D, L, r: 2 * L * 2 * D * r,
    unit="parameters",
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "counts the frozen matrix",
            "the D × D matrices are frozen. What is trained is what is added to them",
            "expected",
            lambda D, L, r: 2 * L * D * D,
        ),
        Mistake(
            "one of two factors",
            "the addition is a product B A. Both of its matrices are trained",
            "expected",
            lambda D, L, r: 2 * L * D * r,
        ),
        Mistake(
            "all four matrices",
            "only two of the four matrices get an addition: those of queries and values",
            "expected",
            lambda D, L, r: 4 * L * 2 * D * r,
        ),
    ),
)


def _starts(r: int) -> str:
    """What a product of a zero matrix and a random one adds, compared with the layer's output."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(r)
        layer, A, x = nn.Linear(8, 8), torch.randn(r, 8), torch.randn(5, 8)
    B = torch.zeros(8, r)
    changed = (x @ A.T @ B.T).norm() / layer(x).norm()
    return "a" if changed == 0 else "b" if changed < 0.5 else "c"


start = Prediction(
    name="7.3 LoRA before the first step",
    draw=lambda dice: (2 ** dice.randint(1, 4),),
    right=_starts,
    options={
        "a": "the model answers exactly as before",
        "b": "the answers change a little, by the random start of A",
        "c": "the answers are random until the first steps are done",
        "d": "all answers are 0",
    },
    mistakes=(
        Mistake(
            "thinks that both factors start at random",
            "A starts at random, but B at 0, and so does their product",
            "expected",
            lambda r: "b",
        ),
        Mistake(
            "forgets the frozen weights",
            "the trained weights are still there; the product is added to them",
            "expected",
            lambda r: "c",
        ),
        Mistake(
            "replaces instead of adding",
            "the addition starts at 0, not the sum",
            "expected",
            lambda r: "d",
        ),
    ),
)

# --- 7.3 the cache -----------------------------------------------------------------------


def _cache(L: int, D: int, T: int, B: int) -> float:
    return serving_memory(GPTConfig(V=1, T=T, L=L, D=D, H=1), B=B, T=T).cache / 1e9


cache = NumberTask(
    name="7.3 The cache of keys and values",
    draw=lambda dice: (
        dice.choice([24, 32, 48]),
        dice.choice([1600, 4096, 5120]),
        dice.choice([2048, 4096]),
        dice.choice([3, 8, 16]),
    ),
    right=_cache,
    unit="GB",
    mistakes=(
        Mistake(
            "counts keys alone",
            "this is half of it. Keys and values are kept, and each number takes 2 bytes",
            "expected",
            lambda L, D, T, B: _cache(L, D, T, B) / 2,
        ),
        Mistake(
            "one layer",
            "each layer has keys and values of its own",
            "expected",
            lambda L, D, T, B: _cache(L, D, T, B) / L,
        ),
        Mistake(
            "in 32 bits",
            "this takes 4 bytes a number; the cache is kept in 16 bits",
            "expected",
            lambda L, D, T, B: _cache(L, D, T, B) * 2,
        ),
        Mistake(
            "one sequence",
            "each sequence has a cache of its own",
            "expected",
            lambda L, D, T, B: _cache(L, D, T, B) / B,
        ),
    ),
)
