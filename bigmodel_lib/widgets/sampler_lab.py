"""SamplerLab: how a language model's scores become text, on the reader's own prompt."""

import functools
import itertools
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
        # most controls change only how a token is drawn, so what the others ask for is kept
        kept = functools.lru_cache(maxsize=8)
        self._logits, self._greedy, self._beam = map(
            kept, (self._logits_anew, self._greedy_anew, self._beam_anew)
        )
        self._age = -1
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
        self._forget_if_it_learned()
        logits = self._logits(self._choice.prompt)
        by_model, drawn = logits.softmax(dim=-1), self._sampler.probabilities(logits)
        best = by_model.argsort(descending=True, stable=True)[:SHOWN]
        return SamplerView(
            prompt=self._choice.prompt,
            tokens=tuple(self._encoding.decode([token]) for token in best.tolist()),
            by_model=by_model[best].numpy(),
            drawn=drawn[best].numpy(),
            kept=int((drawn > 0).sum()),
            entropy=(_bits(by_model), _bits(drawn)),
            texts=self._continuations(),
        )

    def _continuations(self) -> tuple[str, str, str]:
        """Greedy, sampled, and by beam search."""
        c = self._choice
        sampled = self._written(c.prompt, c.length, self._sampler, c.seed)
        return self._greedy(c.prompt, c.length), sampled, self._beam(c.prompt, c.width, c.length)

    # --- what the model says of a prompt

    def _forget_if_it_learned(self) -> None:
        age = sum(weight._version for weight in self._model.parameters())  # grows as they change
        if age != self._age:
            self._age = age
            for kept in (self._logits, self._greedy, self._beam):
                kept.cache_clear()

    def _ids(self, prompt: str) -> Tensor:
        ids = torch.tensor(self._encoding.encode(prompt))
        return ids.to(next(self._model.parameters()).device)

    def _logits_anew(self, prompt: str) -> Tensor:
        return self._model(self._ids(prompt)[None], last=True)[0, -1].cpu()

    def _written(self, prompt: str, length: int, sampler: Sampler, seed: int = 0) -> str:
        ids = self._ids(prompt)
        generator = torch.Generator(ids.device).manual_seed(seed)
        tokens = generate(cached_next_logits(self._model), ids[None], sampler, generator=generator)
        return self._encoding.decode([int(token) for token in itertools.islice(tokens, length)])

    def _greedy_anew(self, prompt: str, length: int) -> str:
        return self._written(prompt, length, GREEDY)

    def _beam_anew(self, prompt: str, width: int, length: int) -> str:
        best = beam_search(next_logits(self._model), self._ids(prompt), width, length)[0]
        return self._encoding.decode(best.ids)

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
