"""TranslatorLab: a number goes from one language to the other, token by token."""

import re
from dataclasses import dataclass

import ipywidgets
import torch

from bigmodel_lib.data import numbers
from bigmodel_lib.language import _
from bigmodel_lib.models.sampling import beam_search
from bigmodel_lib.models.translator import Translator
from bigmodel_lib.training.translation import OTHER, STARTS, STEPS, WRITERS
from bigmodel_lib.widgets.base import Explorer, RefusedError, button, described
from bigmodel_lib.widgets.translator_picture import GUESSES, TranslatorPicture, TranslatorView

READERS = {"en": numbers.from_english, "zh": numbers.from_chinese}
MOST_WRITTEN = 30  # tokens that the picture has room for
MEAN = "mean"


@dataclass(frozen=True)
class Choice:
    """What the controls say."""

    text: str
    to: str
    search: str
    width: int
    layer: int
    head: str | int
    step: int


@dataclass(frozen=True)
class Asked:
    """What a translation depends on."""

    n: int
    to: str
    width: int


@dataclass(frozen=True)
class Translation:
    """A whole translation: the source (1, S), the tokens written, and -ln p of them."""

    asked: Asked
    source: torch.Tensor
    ids: tuple[int, ...]
    nats: float


class TranslatorLab(Explorer):
    """Where a translator looks while it writes, and what else it might have written.

    Args:
        model: of the vocabulary of `data.numbers`; asked without dropout.
        choice: what the controls say first, such as `text="12345"` or `to="en"`.

    Raises:
        ValueError: a choice that names no control.
    """

    def __init__(self, model: Translator, **choice):
        controls = _controls(model)
        for name, value in choice.items():
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self._model, self._picture = model.eval(), TranslatorPicture()
        self._translation = _translate(self._model, _asked(_chosen(controls)))
        controls["step"].max = self._room()  # the value comes down with it
        self._choice = _chosen(controls)
        super().__init__(controls, _rows(controls))

    def apply(self, name: str) -> None:
        """Take over all controls together; `next` writes one token more."""
        slider = self.controls["step"]
        if name == "next":
            self.show_values({"step": min(slider.value + 1, slider.max)})
        asked = _asked(_chosen(self.controls))
        if asked != self._translation.asked:
            self._translation = _translate(self._model, asked)
            whole, room = slider.value == slider.max, self._room()
            slider.max = room
            self.show_values({"step": room if whole else min(slider.value, room)})
        self._choice = _chosen(self.controls)
        self.accept(*self.controls)

    def _room(self) -> int:
        return min(len(self._translation.ids), MOST_WRITTEN)

    @torch.no_grad()
    def compute(self) -> TranslatorView:
        """The translation so far, its alignment, and the next token's likeliest candidates."""
        c, done = self._choice, self._translation
        source, written, asked = done.source, done.ids, done.asked
        shown = written[: c.step]
        target = torch.tensor([[STARTS[c.to], *shown]], device=source.device)
        logits, alignments = self._model.decode(target, *self._model.encode(source))
        weights = alignments[c.layer - 1][0].cpu()  # (H, T, S)
        weights = weights.mean(dim=0) if c.head == MEAN else weights[c.head - 1]
        guesses = logits[0, -1].cpu().softmax(dim=-1).topk(GUESSES)
        return TranslatorView(
            source=tuple(numbers.VOCABULARY[token] for token in source[0].tolist()),
            written=tuple(numbers.VOCABULARY[token] for token in shown),
            weights=weights[: len(shown)].numpy(),
            guesses=tuple(numbers.VOCABULARY[token] for token in guesses.indices.tolist()),
            probabilities=guesses.values.numpy(),
            is_whole=len(shown) == len(written),
            text=numbers.decode(shown),
            truth=WRITERS[c.to](asked.n),
            nats=done.nats,
        )

    def draw(self, data: TranslatorView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _chosen(controls: dict[str, ipywidgets.Widget]) -> Choice:
    return Choice(**{name: controls[name].value for name in Choice.__dataclass_fields__})


def _asked(choice: Choice) -> Asked:
    """The number, the direction, and how many beginnings the search keeps; 1 is greedy."""
    width = 1 if choice.search == "greedy" else choice.width
    return Asked(_number(choice), choice.to, width)


@torch.no_grad()
def _translate(model: Translator, asked: Asked) -> Translation:
    text = WRITERS[OTHER[asked.to]](asked.n)
    source = torch.tensor([numbers.encode(text)]).to(model.tokens.weight.device)
    start = torch.tensor([STARTS[asked.to]], device=source.device)
    read = model.next_logits(source)
    best = beam_search(read, start, asked.width, STEPS, end=numbers.END)[0]
    return Translation(asked, source, tuple(best.ids), -best.log_probability)


def _number(choice: Choice) -> int:
    """The number meant, in digits or in words of the source language."""
    text = " ".join(choice.text.lower().split())
    if not text:
        raise RefusedError("text", _("need a number, in digits or in words"))
    if re.fullmatch(r"[0-9][0-9,]*", text):
        digits = text.replace(",", "")
        if len(digits) > 12:
            raise RefusedError("text", _("need a number of at most twelve digits"))
        return int(digits)
    try:
        return READERS[OTHER[choice.to]](text)
    except ValueError as error:
        examples = {"en": "one hundred twenty-three", "zh": "一百二十三"}
        reason = _("need digits, or words as in “{example}”; got “{text}”")
        reason = reason.format(example=examples[OTHER[choice.to]], text=text[:60])
        raise RefusedError("text", reason) from error


def _controls(model: Translator) -> dict[str, ipywidgets.Widget]:
    rest = {"continuous_update": False}
    ways = [(_("English → Chinese"), "zh"), (_("Chinese → English"), "en")]
    heads = model.decoder[0].cross.H
    slider = ipywidgets.IntSlider
    return {
        "text": described(
            ipywidgets.Text, "number", value="1203040", layout={"width": "575px"}, **rest
        ),
        "to": described(ipywidgets.Dropdown, "direction", options=ways),
        "search": described(ipywidgets.Dropdown, "search", options=["greedy", "beam"]),
        "width": described(slider, "beam width", value=4, min=1, max=8, **rest),
        "layer": described(
            slider,
            "decoder layer",
            value=len(model.decoder),
            min=1,
            max=len(model.decoder),
            **rest,
        ),
        "head": described(ipywidgets.Dropdown, "head", options=[MEAN, *range(1, heads + 1)]),
        "step": described(
            slider, "tokens written", value=MOST_WRITTEN, min=0, max=MOST_WRITTEN, **rest
        ),
        "next": button("next token"),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("to", "search", "width"), ("layer", "head"), ("step", "next")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [controls["text"], ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
