"""What explorers stand beside: `ipywidgets.interactive` around `plt.subplots`, as tutorials do.

Each draws what the explorer's picture holds, from the data of the same `compute()`, in a new
figure that is rendered as the inline backend does (PNG, tight box) and closed.
"""

import contextlib
import io
from collections.abc import Callable

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt

import language_peers as language
import size_peers as size
import training_peers as training
import vision_peers as vision
from bigmodel_lib.widgets.base import Explorer

DRAW = {
    "AdversarialLab": vision.adversarial,
    "AttentionExplorer": language.attention,
    "BackpropStepper": training.backprop,
    "DenoisingLab": vision.denoising,
    "DetectorLab": vision.detector,
    "DrawDigit": vision.draw_digit,
    "EfficiencyLab": size.efficiency,
    "GAN1D": training.gan_1d,
    "GANLab": training.gan,
    "ModelBuilder": size.builder,
    "OptimizerRace": training.race,
    "PipelineLab": training.pipeline,
    "ResourceCalculator": size.calculator,
    "SamplerLab": language.sampler,
    "ScalingLab": size.scaling,
    "SpectrogramLab": language.spectrogram,
    "TranslatorLab": language.translator,
    "VAELab": training.vae,
}


def png() -> bytes:
    """The current figure as the inline backend sends it; closed.

    Raises:
        ValueError: no figure, or one without anything in it.
    """
    if not any(ax.has_data() or ax.texts for ax in plt.gcf().axes):
        plt.close()
        raise ValueError("need a figure with something in it, got an empty one")
    file = io.BytesIO()
    plt.gcf().savefig(file, format="png", bbox_inches="tight")
    plt.close()
    return file.getvalue()


def with_pyplot(explorer: Explorer) -> Explorer:
    """The same explorer, whose pictures pyplot draws anew each time."""
    draw = DRAW[type(explorer).__name__]
    matplotlib.use("agg")
    explorer.draw, explorer.render = lambda data: draw(data) or "", png
    return explorer


def without_picture(explorer: Explorer) -> Explorer:
    """The same explorer, which computes and draws nothing."""
    explorer.draw, explorer.render = lambda _data: "", bytes
    return explorer


def interactive(explorer: Explorer, control: str) -> Callable[[object], None]:
    """value of a control → the new picture, by way of `interactive` and a slider of its own.

    Raises:
        Exception: whatever went wrong in the explorer or in its peer.
    """
    values = []

    def changed(place: int) -> None:
        if place:  # `interactive` also calls once at the start
            explorer.controls[control].value = values[place - 1]
            explorer._tick()

    slider = ipywidgets.IntSlider(min=0, max=10**6)
    ipywidgets.interactive(changed, place=slider)  # the slider keeps it alive

    def change(value) -> None:
        values.append(value)
        quiet = io.StringIO()  # without a kernel, clearing an output prints control signs
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            slider.value += 1
        if explorer.error is not None:
            raise explorer.error

    return change
