"""What does not depend on the clock: calls, allocations, frames, imports.

Small models and live pictures cost what they call, so a count that grows is a regression that a
noisy machine would hide. Matrix products are counted by hand from the algorithm and must be
equal; other bounds are today's count and a tenth, because versions of PyTorch differ a little.
"""

import subprocess
import sys

import pytest
import torch
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from torch.utils._python_dispatch import _disable_current_modes

from bigmodel_lib import plots
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.models.bpe import train
from bigmodel_lib.models.compiled import CompiledGPT
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.models.packed import can_pack
from bigmodel_lib.models.sampling import cached_next_logits, generate
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training import GANRun
from bigmodel_lib.training.text import TextRun, TextSettings
from bigmodel_lib.widgets import (
    GAN1D,
    AttentionExplorer,
    DenoisingLab,
    DetectorLab,
    GANLab,
    OptimizerRace,
    PipelineLab,
    ResourceCalculator,
    SamplerLab,
    ScalingLab,
    SpectrogramLab,
    VAELab,
)
from bigmodel_lib.widgets.canvas import Canvas
from side_by_side import allocations, operators

PRODUCTS = ("aten::mm", "aten::addmm")
VIEWS = ("aten::t", "aten::view", "aten::detach", "aten::transpose", "aten::_unsafe_view")


def products(found) -> int:
    return sum(found[name] for name in PRODUCTS)


def calls(found) -> int:
    """Operators of PyTorch that compute: views cost little and come and go with versions."""
    return sum(n for name, n in found.items() if name.startswith("aten::") and name not in VIEWS)


def memory(step) -> tuple[int, int]:
    """How many allocations, of how many bytes."""
    sizes = [size for size in allocations(step) if size > 0]
    return len(sizes), sum(sizes)


# --- a step of the article's GAN


@pytest.fixture(scope="module")
def gan():
    # seldom looked at, so that only the step counts
    run = GANRun(*make_gan("article"), load_digits(split="test"), check_every=100, keep_every=100)
    list(run.take(2))
    return run


def test_a_gan_step_makes_the_products_of_its_algorithm_and_none_else(gan):
    forward = 2 + 3 * 2  # G, and D on real images, on fakes, and on the same fakes for G
    d_backward = 2 * (2 + 1)  # twice: both layers' weights, and back through the last layer
    g_backward = 2 + (2 + 1)  # through D, whose weights rest; then G like D
    assert products(operators(gan.__next__)) == forward + d_backward + g_backward


def test_a_gan_step_calls_no_more_than_today(gan):
    found = operators(gan.__next__)
    assert found["aten::_fused_adam_"] == 2  # one call for all of a network's parameters
    assert found["aten::_local_scalar_dense"] == 0  # nobody waits for a number in a step
    assert calls(found) <= 91  # 83 today; an optimiser that loops over parameters adds 40


def test_a_gan_step_allocates_no_more_than_today(gan):
    count, size = memory(gan.__next__)
    assert count <= 119  # 108 today
    parameters = sum(p.numel() for m in gan.modules.values() for p in m.parameters())
    images = gan.settings.batch_size * 28 * 28
    # gradients, of D twice, for real and for fake; 8 batches of images: real, fake, their slopes
    assert size <= 1.15 * 4 * (1.5 * parameters + 8 * images)


# --- a step of a GPT


def text_run(L: int) -> TextRun:
    model = GPT(GPTConfig(V=31, T=32, L=L, D=16, H=2))
    run = TextRun(
        model,
        torch.arange(500) % 31,
        settings=TextSettings(batch_size=3, length=32),
        check_every=100,
    )
    list(run.take(2))
    return run


@pytest.fixture(scope="module")
def gpt_steps():
    return [text_run(L).__next__ for L in (2, 3)]


def test_a_layer_of_a_gpt_adds_its_products_and_one_attention(gpt_steps):
    two, three = map(operators, gpt_steps)
    # attention in and out, MLP up and down; backward each has its weights' and its inputs'
    assert products(three) - products(two) == 3 * 4
    for way in ("", "_backward"):
        name = f"aten::_scaled_dot_product_flash_attention_for_cpu{way}"
        assert three[name] - two[name] == 1
    assert calls(three) - calls(two) <= 34  # 31 today


def test_the_optimiser_of_a_gpt_calls_as_often_however_many_layers(gpt_steps):
    two, three = map(operators, gpt_steps)
    name = "aten::_fused_adamw_"
    assert two[name] == three[name] == 2  # with weight decay and without
    assert two["aten::_local_scalar_dense"] == 0


def test_a_layer_of_a_gpt_adds_no_more_allocations_than_today(gpt_steps):
    two, three = map(memory, gpt_steps)
    assert three[0] - two[0] <= 75  # 68 today


# --- a step of generation


def test_a_generated_token_costs_the_same_calls_wherever_it_stands():
    model = GPT(GPTConfig(V=31, T=64, L=3, D=16, H=2)).eval()
    with torch.no_grad():
        tokens = generate(cached_next_logits(model), torch.arange(5)[None])
        next(tokens), next(tokens)
        early = operators(lambda: next(tokens))
        for _ in range(30):
            next(tokens)
        late = operators(lambda: next(tokens))
    assert early == late
    assert products(late) == 4 * 3 + 1  # of each layer, and the scores of one position
    assert calls(late) <= 76  # 69 today


def test_a_generated_token_reads_the_cache_and_copies_none_of_it():
    model = GPT(GPTConfig(V=31, T=64, L=3, D=32, H=2)).eval()
    with torch.no_grad():
        tokens = generate(cached_next_logits(model), torch.arange(5)[None])
        next(tokens)
        _, early = memory(tokens.__next__)
        for _ in range(40):
            next(tokens)
        _, late = memory(tokens.__next__)
    assert late <= 1.5 * early


@pytest.mark.skipif(not can_pack(torch.zeros(1)), reason="PyTorch without oneDNN")
def test_a_token_of_compiled_layers_is_a_graph_a_layer_and_little_else():
    graphs = []

    def uncounted(step):
        def call(*inputs):
            graphs.append(step.__name__)
            with _disable_current_modes():  # what is in a graph is no call of its own
                return step(*inputs)

        return call

    model = CompiledGPT(GPT(GPTConfig(V=31, T=64, L=3, D=16, H=2)).eval(), uncounted)
    tokens = generate(cached_next_logits(model), torch.arange(5)[None])
    next(tokens), next(tokens)
    graphs.clear()
    found = operators(tokens.__next__)
    assert graphs == ["write_block"] * 3 + ["write_scores"]
    assert calls(found) <= 18  # 17 today: the embedding, the choice, the tokens so far


# --- pictures


@pytest.fixture
def drawn(monkeypatch):
    """Counts frames, and full drawings with all ticks and labels among them."""
    found = {"frames": 0, "full": 0}

    def counting(name, function):
        def wrapper(*args, **kwargs):
            found[name] += 1
            return function(*args, **kwargs)

        return wrapper

    monkeypatch.setattr(Canvas, "png", counting("frames", Canvas.png))
    monkeypatch.setattr(FigureCanvasAgg, "draw", counting("full", FigureCanvasAgg.draw))
    return found


def sampler_lab() -> SamplerLab:
    model = GPT(GPTConfig(V=263, T=128, L=1, D=16, H=2))
    return SamplerLab(model, train("the cat sat on the mat " * 5, 263), length=3)


@pytest.mark.filterwarnings("ignore:no font installed", "ignore:Glyph")  # of an untrained model
@pytest.mark.parametrize(
    ("make", "moves"),
    [
        (AttentionExplorer, {"temperature": 0.5, "head": 2}),
        (VAELab, {"x": 0.5, "y": -0.5}),
        (ResourceCalculator, {"pue": 1.4, "grid": 0.2, "price": 3.0}),
        (lambda: GANLab(architecture="article"), {"d_lr": 2e-3, "batch_size": 16}),
        (OptimizerRace, {"start_x": 1.5, "lr_SGD": 0.1, "surface": "saddle"}),
        (ScalingLab, {"family": "CNN", "years": (1990, 2020), "named": "AlexNet"}),
        (lambda: ScalingLab(view="laws"), {"law": "Besiroglu 2024", "budget": 1e20}),
        (SpectrogramLab, {"pitch": 200.0, "M": 512, "bands": 20, "scale": "amplitude"}),
        # limits of axes follow
        (GAN1D, {"mean": 3.0, "std": 0.2, "answer": "optimal D*", "real": "one hump"}),
        (DetectorLab, {"score": 0.1, "most": 0.9, "truth": True, "seed": 5}),
        (DenoisingLab, {"digit": 7, "look": 20, "eta": 1.0, "steps": 3}),
        (sampler_lab, {"temperature": 0.5, "k": 9, "p": 0.5, "prompt": "a dog"}),
    ],
    ids=[
        *("AttentionExplorer", "VAELab", "ResourceCalculator", "GANLab"),
        *("OptimizerRace", "ScalingLab", "ScalingLab's laws", "SpectrogramLab"),
        *("GAN1D", "DetectorLab", "DenoisingLab", "SamplerLab"),
    ],
)
def test_a_change_draws_one_frame_and_no_axis_anew(make, moves, drawn):
    explorer = make()
    for name, value in moves.items():
        drawn.update(frames=0, full=0)
        explorer.controls[name].value = value
        while explorer._tick():
            pass
        assert explorer.error is None
        assert drawn == {"frames": 1, "full": 0}, name


def test_a_run_that_starts_anew_draws_no_axis_of_the_others_anew(drawn, monkeypatch):
    cut, axes = Canvas._cut, []
    monkeypatch.setattr(
        Canvas,
        "_cut",
        lambda self, a: (axes.append(a) if isinstance(a, Axis) else None, cut(self, a))[1],
    )
    lab = PipelineLab(steps=20)
    lab.run()
    for name, value in {"lr": 0.2, "scaling": "raw", "leak": True}.items():
        drawn.update(full=0)
        axes.clear()
        lab.controls[name].value = value
        while lab._tick():
            pass
        assert lab.error is None
        assert drawn["full"] == 0, name
        # heights follow the losses and the spreads; how far the run goes was known from the start
        assert {axis.axis_name for axis in axes} <= {"y"}, name


@pytest.mark.parametrize(
    ("make", "name", "value", "most"),
    [
        (GAN1D, "answer", "optimal D*", 3),  # its name, and both sizes of the push
        (DetectorLab, "truth", True, 0),
        (DetectorLab, "most", 0.45, 1),  # at most the average precision
        (DenoisingLab, "eta", 1.0, 0),
        (DenoisingLab, "look", 60, 3),  # two numbers change their colour, and the title
        (sampler_lab, "temperature", 0.5, 1),  # the sampled text
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.filterwarnings("ignore:no font installed", "ignore:Glyph")
def test_a_change_draws_no_text_that_stays(make, name, value, most, monkeypatch):
    explorer = make()
    explorer.run()
    texts = [artist for artist in explorer._picture.canvas._moving if isinstance(artist, Text)]
    drawn, draw = [], Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, *a: (drawn.append(text), draw(text, *a)))
    explorer.controls[name].value = value
    while explorer._tick():
        pass
    assert explorer.error is None
    assert len([text for text in drawn if text in texts]) <= most


def test_many_values_of_a_slider_in_one_slice_draw_one_frame(drawn):
    explorer = ResourceCalculator()
    drawn.update(frames=0)
    for step in range(9):
        explorer.controls["pue"].value = 1.1 + 0.05 * step
    while explorer._tick():
        pass
    assert drawn["frames"] == 1


# --- imports


def modules(line: str) -> set[str]:
    """Modules that a fresh process has after the line."""
    code = f"{line}; import sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return set(result.stdout.split())


def imported(line: str) -> set[str]:
    """Packages that a fresh process has after the line; not those of the standard library."""
    return {name.split(".")[0] for name in modules(line)} - sys.stdlib_module_names


def test_the_package_alone_brings_nothing_along():
    assert imported("import bigmodel_lib") - imported("pass") == {"bigmodel_lib"}


def test_explorers_bring_along_no_package_that_only_some_need():
    need_more = {"DrawDigit"}  # captum's attributions, which import SciPy
    line = (
        "from bigmodel_lib import widgets; "
        f"[getattr(widgets, name) for name in widgets.MODULES if name not in {need_more}]"
    )
    heavy = {"scipy", "sklearn", "captum", "pandas", "onnx", "onnxruntime", "optuna", "fastapi"}
    late = {"pooch", "platformdirs", "requests", "psutil"}  # for what few ever do
    found = imported(line)
    assert {"bigmodel_lib", "ipywidgets"} <= found
    assert not (heavy | late) & found


def test_plots_bring_along_nothing_that_only_some_pictures_show():
    found = modules("from bigmodel_lib.plots import show, mosaic, training_curves")
    assert "bigmodel_lib.plots.training" in found
    parts = {name.split(".")[1] for name in found if name.startswith("bigmodel_lib.")}
    assert parts == {"plots", "language"}


def test_plots_offer_what_they_import_late():
    assert plots.computation_graph.__module__ == "bigmodel_lib.plots.graph"
    assert all(callable(getattr(plots, name)) for name in plots.LATER)
    assert set(plots.LATER) <= set(plots.__all__) <= set(dir(plots))
    with pytest.raises(AttributeError, match="no attribute 'heat_map'"):
        plots.heat_map  # noqa: B018
