"""SamplerLab: how a language model's scores become text, on the reader's own prompt."""

from dataclasses import dataclass

import ipywidgets
import torch
from torch import Tensor

from bigmodel_lib.language import _
from bigmodel_lib.models.bpe import BytePairEncoding
from bigmodel_lib.models.sampling import (
    GREEDY,
    Sampler,
    beam_search,
    cached_next_logits,
    generate,
    next_logits,
)
from bigmodel_lib.models.transformer import GPT
from bigmodel_lib.widgets.base import Explorer, RefusedError, described
from bigmodel_lib.widgets.sampler_picture import SHOWN, SamplerPicture, SamplerView

MOST_TOKENS = 96  # of a prompt
PROMPT = "The following is an"


@dataclass(frozen=True)
class Choice:
    """What the controls say."""

    prompt: str
    temperature: float
    k: int
    p: float
    min_p: float
    width: int
    length: int
    seed: int


class SamplerLab(Explorer):
    """The next token's distribution, what temperature and filters leave of it, and three texts.

    Args:
        model: scores the next token; asked without dropout.
        encoding: of the model's tokens.
        choice: what the controls say first, such as `prompt="…"` or `temperature=0.7`.

    Raises:
        ValueError: a choice that names no control, or an encoding of another vocabulary.
    """

    def __init__(self, model: GPT, encoding: BytePairEncoding, **choice):
        if encoding.V != model.config.V:
            raise ValueError(f"need an encoding of {model.config.V} tokens, got {encoding.V}")
        controls = _controls(model.config.T)
        for name, value in choice.items():
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self._model, self._encoding = model.eval(), encoding
        self._picture = SamplerPicture()
        self._choice = self._checked(Choice(**{n: c.value for n, c in controls.items()}))
        super().__init__(controls, _rows(controls))

    def apply(self, name: str) -> None:
        """Take over all controls together."""
        choice = Choice(**{n: control.value for n, control in self.controls.items()})
        self._choice = self._checked(choice)
        self.accept(*self.controls)

    def _checked(self, choice: Choice) -> Choice:
        if not choice.prompt:
            raise RefusedError("prompt", _("need at least one character to go on from"))
        try:
            count = len(self._encoding.encode(choice.prompt))
        except UnicodeEncodeError as error:
            reason = _("half a character has no bytes")
            raise RefusedError("prompt", reason) from error
        if count > MOST_TOKENS:
            reason = _("need at most {most} tokens, got {count}")
            raise RefusedError("prompt", reason.format(most=MOST_TOKENS, count=count))
        return choice

    @property
    def _sampler(self) -> Sampler:
        c = self._choice
        return Sampler(c.temperature, c.k or None, c.p, c.min_p)

    @torch.no_grad()
    def compute(self) -> SamplerView:
        """Both distributions of the next token, and the three continuations."""
        ids = torch.tensor(self._encoding.encode(self._choice.prompt))
        ids = ids.to(next(self._model.parameters()).device)
        logits = self._model(ids[None])[0, -1].cpu()
        by_model, drawn = logits.softmax(dim=-1), self._sampler.probabilities(logits)
        best = by_model.argsort(descending=True, stable=True)[:SHOWN]
        return SamplerView(
            prompt=self._choice.prompt,
            tokens=tuple(self._encoding.decode([token]) for token in best.tolist()),
            by_model=by_model[best].numpy(),
            drawn=drawn[best].numpy(),
            kept=int((drawn > 0).sum()),
            entropy=(_bits(by_model), _bits(drawn)),
            texts=self._continuations(ids),
        )

    def _continuations(self, ids: Tensor) -> tuple[str, str, str]:
        """Greedy, sampled, and by beam search."""
        c = self._choice
        generator = torch.Generator(ids.device).manual_seed(c.seed)
        written = [
            [int(token) for token, _step in zip(tokens, range(c.length), strict=False)]
            for tokens in (
                generate(cached_next_logits(self._model), ids[None], GREEDY),
                generate(
                    cached_next_logits(self._model), ids[None], self._sampler, generator=generator
                ),
            )
        ]
        written.append(beam_search(next_logits(self._model), ids, c.width, c.length)[0].ids)
        return tuple(self._encoding.decode(tokens) for tokens in written)

    def draw(self, data: SamplerView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _bits(p: Tensor) -> float:
    """Entropy -Σ p log₂ p."""
    return float(torch.special.entr(p).sum() / torch.tensor(2.0).log())


def _controls(T: int) -> dict[str, ipywidgets.Widget]:
    rest = {"continuous_update": False}
    text = {"layout": {"width": "575px"}, **rest}
    longest = min(60, T - MOST_TOKENS)
    slider, real = ipywidgets.IntSlider, ipywidgets.FloatSlider
    return {
        "prompt": described(ipywidgets.Text, "prompt", value=PROMPT, **text),
        "temperature": described(
            real, "temperature", value=1.0, min=0.0, max=3.0, step=0.05, **rest
        ),
        "k": described(slider, "top-k (0: all)", value=0, min=0, max=50, **rest),
        "p": described(real, "top-p", value=1.0, min=0.05, max=1.0, step=0.05, **rest),
        "min_p": described(real, "min-p", value=0.0, min=0.0, max=1.0, step=0.01, **rest),
        "width": described(slider, "beam width", value=4, min=1, max=8, **rest),
        "length": described(slider, "tokens to write", value=30, min=1, max=longest, **rest),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("temperature", "k", "seed"), ("p", "min_p"), ("length", "width")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [controls["prompt"], ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
