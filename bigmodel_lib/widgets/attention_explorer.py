"""AttentionExplorer: one attention layer on the reader's own sentence, stage by stage."""

import dataclasses
import functools
import time
import unicodedata
import zlib
from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.language import _
from bigmodel_lib.models.attention_lm import (
    POSITIONS,
    SCALE_RULES,
    AttentionLM,
    Stages,
    entropy,
    softmax_gradient,
)
from bigmodel_lib.training.text import TextRun
from bigmodel_lib.widgets.attention_picture import AttentionPicture, AttentionView
from bigmodel_lib.widgets.base import SLICE, Explorer, RefusedError, described
from bigmodel_lib.widgets.heatmap import Heatmap

MOST_TOKENS = 64
TRAINING = 200  # steps: a few seconds
SATURATED = 0.95  # a row whose largest weight is above looks at one key alone
USUAL = "D / H"
SENTENCE = "the cat sat on the mat because it was tired"


@dataclass(frozen=True)
class Choice:
    """What the controls say."""

    text: str
    split: str
    length: int
    D: int
    H: int
    d: str | int
    rule: str
    mask: str
    temperature: float
    positions: str
    weights: str
    seed: int
    head: int


class AttentionExplorer(Explorer):
    """Attention on your own sentence: q kᵀ → scale, mask → softmax → output.

    All heads at a glance and one in detail, whose weights can be read cell by cell in the grid
    below the picture; entropy against its maximum, saturated rows, the gradient that passes the
    softmax, parameters and FLOPs.

    Args:
        choice: what the controls say first, such as `text="…"`, `H=2` or `rule="article"`.

    Raises:
        ValueError: a choice that names no control.
    """

    def __init__(self, **choice):
        controls = _controls()
        for name, value in choice.items():
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.heatmap = Heatmap()
        self._picture = AttentionPicture()
        self._run: TextRun | None = None
        self._choice = self._checked(Choice(**{n: c.value for n, c in controls.items()}))
        self._make_model()
        super().__init__(controls, _rows(controls))
        self.children = (*self.children, self.heatmap)

    # --- controls ---

    def apply(self, name: str) -> None:
        """Take over all controls together: what one may be depends on the others."""
        before = self._choice
        choice = Choice(**{n: control.value for n, control in self.controls.items()})
        self._choice = self._checked(choice)
        self.accept(*self.controls)
        if _model_of(self._choice) != _model_of(before):
            self._make_model()

    def _checked(self, choice: Choice) -> Choice:
        if choice.d == USUAL and choice.D % choice.H:
            reason = _("{H} heads do not divide the model width {D}")
            raise RefusedError("H", reason.format(H=choice.H, D=choice.D))
        if choice.positions == "rotary" and _head_width(choice) % 2:
            reason = _("rotary positions turn pairs, and need an even head width; it is {d}")
            raise RefusedError("positions", reason.format(d=_head_width(choice)))
        if choice.head > choice.H:
            raise RefusedError("head", _("there are {H} heads").format(H=choice.H))
        if choice.weights == "trained":
            self._check_trained(choice)
        self._check_text(choice)
        return choice

    def _check_trained(self, choice: Choice) -> None:
        if choice.split != "characters":
            raise RefusedError("split", _("the trained weights know characters, not words"))
        if choice.mask != "causal":
            reason = _("trained to predict the next character: without the mask it sees the answer")
            raise RefusedError("mask", reason)
        unknown = sorted(set(choice.text) - set(_vocabulary()))
        if unknown:
            reason = _("the trained weights do not know {unknown}; they learned English")
            raise RefusedError("text", reason.format(unknown=" ".join(unknown)))

    def _check_text(self, choice: Choice) -> None:
        count = len(_tokens(choice.text, choice.split))
        if count < 2:
            raise RefusedError("text", _("need at least two tokens to attend"))
        if count > MOST_TOKENS:
            reason = _("need at most {most} tokens, got {count}")
            raise RefusedError("text", reason.format(most=MOST_TOKENS, count=count))

    # --- the model, random or trained ---

    def _make_model(self) -> None:
        choice = self._choice
        vocabulary = len(_vocabulary()) if choice.weights == "trained" else 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(choice.seed)
            shape = choice.D, choice.H, _head_width(choice)
            self._model = AttentionLM(vocabulary, *shape, choice.positions, choice.rule)
        self._run = None
        if choice.weights == "trained":
            self._run = TextRun(self._model, _corpus(), seed=choice.seed)

    def work(self) -> bool:
        """Train for one slice, if the weights are to be trained and are not yet."""
        end = time.monotonic() + SLICE
        while self._training and time.monotonic() < end:
            self._train(1)
        return self._training

    @property
    def _training(self) -> bool:
        return self._run is not None and self._run.step < TRAINING

    def steps(self, count: int) -> None:
        """Train so many steps, or until training is over."""
        while self._training and count:
            self._train(1)
            count -= 1

    def _train(self, count: int) -> None:
        for record in self._run.take(count):
            loss = record["loss"]
        note = _(
            "training on the language reference: step {step} of {all}, {loss} nats a character"
        )
        self.say(note.format(step=self._run.step, all=TRAINING, loss=f"{loss:.2f}"))

    def _embed(self, tokens: list[str]) -> Tensor:
        """Embedded tokens (T, D): the model's own, or random ones, the same for equal tokens."""
        if self._run is not None:
            index = {character: i for i, character in enumerate(_vocabulary())}
            return self._model.embedding(torch.tensor([index[token] for token in tokens]))
        return torch.stack([_random_vector(t, self._choice.D, self._choice.seed) for t in tokens])

    # --- picture ---

    @torch.no_grad()
    def compute(self) -> AttentionView:
        """The stages of the chosen head, all heads' weights, and what they measure."""
        choice = self._choice
        all_tokens = _tokens(choice.text, choice.split)
        tokens = all_tokens[: choice.length]
        causal = choice.mask == "causal"
        stages = self._model.stages(
            self._embed(tokens), causal=causal, temperature=choice.temperature
        )
        return AttentionView(
            tokens=tuple(tokens),
            left_out=len(all_tokens) - len(tokens),
            head=choice.head - 1,
            stages=Stages(*(getattr(stages, f.name).numpy() for f in dataclasses.fields(Stages))),
            causal=causal,
            **_measures(stages.weights, causal),
            parameters=4 * choice.D * choice.H * self._model.d,
            flops=_flops(len(tokens), choice.D, choice.H, self._model.d),
        )

    def draw(self, data: AttentionView) -> str:
        """Bring the picture and the grid up to date; returns what they show in words."""
        visible = data.visible(data.stages.weights[data.head])
        names = [f"{i + 1} {token}" for i, token in enumerate(data.tokens)]
        title = _("weights of head {head}").format(head=data.head + 1)
        self.heatmap.show(visible, names, names, title)
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _measures(weights: Tensor, causal: bool) -> dict:
    """Per head (H,): entropy, and over all: its maximum, saturated rows, gradient."""
    T = weights.shape[-1]
    looks = torch.arange(1, T + 1) if causal else torch.full((T,), T)  # keys a row may see
    free = looks > 1  # the first causal row has no choice
    return {
        "entropy": entropy(weights).mean(dim=-1).numpy(),
        "highest_entropy": float(looks.log().mean()),
        "saturated": float((weights.amax(dim=-1)[:, free] > SATURATED).float().mean()),
        "gradient": float(softmax_gradient(weights)[:, free].mean()),
    }


def _flops(T: int, D: int, H: int, d: int) -> int:
    """Multiplications and additions: projections in and out, q kᵀ, weights times v."""
    return 2 * T * D * 4 * H * d + 2 * 2 * T * T * H * d


def _head_width(choice: Choice) -> int:
    return choice.D // choice.H if choice.d == USUAL else choice.d


def _model_of(choice: Choice) -> tuple:
    """What the weights depend on; the rest is only another look at them."""
    names = ("D", "H", "d", "rule", "positions", "weights", "seed")
    return tuple(getattr(choice, name) for name in names)


@functools.lru_cache(maxsize=1024)
def _random_vector(token: str, D: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {token}".encode()))
    return torch.randn(D, generator=generator)


@functools.cache
def _vocabulary() -> tuple[str, ...]:
    return tuple(sorted(set(language_reference())))


@functools.cache
def _corpus() -> Tensor:
    index = {character: i for i, character in enumerate(_vocabulary())}
    return torch.tensor([index[character] for character in language_reference()])


def _tokens(text: str, split: str) -> list[str]:
    """Words, or characters. Chinese has no spaces: there each character is a word."""
    if split == "characters":
        return list(text)
    wide = "".join(f" {c} " if unicodedata.east_asian_width(c) in "WF" else c for c in text)
    return wide.split()


def _controls() -> dict[str, ipywidgets.Widget]:
    ladder = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
    on_release = {"continuous_update": False}
    return {
        "text": described(
            ipywidgets.Text, "sentence", value=SENTENCE, layout={"width": "575px"}, **on_release
        ),
        "split": described(ipywidgets.Dropdown, "split by", options=["words", "characters"]),
        "length": described(
            ipywidgets.IntSlider, "tokens shown", value=MOST_TOKENS, min=2, max=MOST_TOKENS
        ),
        "D": described(ipywidgets.SelectionSlider, "model width D", options=ladder, value=64),
        "H": described(ipywidgets.IntSlider, "heads H", value=4, min=1, max=16),
        "d": described(
            ipywidgets.SelectionSlider,
            "head width d",
            options=[USUAL, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
        ),
        "rule": described(ipywidgets.Dropdown, "scale scores by", options=list(SCALE_RULES)),
        "mask": described(ipywidgets.Dropdown, "mask", options=["none", "causal"]),
        "temperature": described(
            ipywidgets.FloatLogSlider,
            "temperature",
            value=1.0,
            min=-1,
            max=1,
            step=0.05,
            readout_format=".2f",
        ),
        "positions": described(ipywidgets.Dropdown, "positions", options=POSITIONS),
        "weights": described(ipywidgets.Dropdown, "weights", options=["random", "trained"]),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
        "head": described(ipywidgets.IntSlider, "head in detail", value=1, min=1, max=16),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [
        ("length", "D", "H", "d"),
        ("rule", "mask", "temperature", "positions"),
        ("weights", "seed", "head"),
    ]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    wrap = {"flex_flow": "row wrap"}
    return [
        ipywidgets.HBox([controls["text"], controls["split"]], layout=wrap),
        ipywidgets.HBox(boxes, layout=wrap),
    ]
