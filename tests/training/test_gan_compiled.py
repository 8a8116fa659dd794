"""The compiled step beside the plain one, which other tests hold against a loop by hand."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.training.gan_compiled import CompiledGANRun, traced, whole_graph


@pytest.fixture(autouse=True)
def float64():
    """Adam turns a rounding error of a gradient near zero into a whole step; here it cannot."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def runs(compile, loss="non-saturating"):
    """A plain and a compiled run from one start."""
    data, made = load_digits(split="test"), []
    data = dataclasses.replace(data, images=data.images.double())
    for kind, more in ((GANRun, {}), (CompiledGANRun, {"compile": compile})):
        settings = GANSettings(loss=loss, d_lr=2e-3, g_lr=1e-3, batch_size=7)
        made.append(kind(*make_gan("article", Z=5), data, Z=5, settings=settings, **more))
    return made


def eager(step, _arguments):
    return step


def assert_same(plain: GANRun, compiled: GANRun) -> None:
    for name, column in plain.history.items():
        assert_close(compiled.history[name], column, rtol=0, atol=1e-5, msg=name)
    for name, module in plain.modules.items():
        assert_close(compiled.modules[name].state_dict(), module.state_dict(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("loss", ["non-saturating", "hinge"])
def test_equals_the_plain_run_step_by_step_also_when_settings_change(loss):
    pair = runs(eager, loss)
    for run in pair:
        for _record in run.take(3):
            pass
        run.settings.d_lr, run.settings.beta1, run.settings.batch_size = 5e-4, 0.8, 11
        for _record in run.take(3):
            pass
    assert_same(*pair)


def test_the_whole_step_is_one_graph_and_another_rate_compiles_none_anew():
    graphs = []

    def compile(step, arguments):
        graphs.append(traced(step, arguments))
        return graphs[-1]

    plain, compiled = pair = runs(compile)
    for run in pair:
        for rate in (1e-3, 3e-3, 5e-4):
            run.settings.g_lr = rate
            next(run)
    assert len(graphs) == 1
    # a power in the graph would be taken anew for every few weights, and doubles Adam's time
    assert not [n for n in graphs[0].graph.nodes if "pow.Tensor_Tensor" in str(n.target)]
    assert_same(plain, compiled)


def there_and_back(run: GANRun, *batch_sizes: int) -> None:
    """Steps with other settings, and back to the start in between: to other tensors, that is."""
    for batch_size, rate in zip(batch_sizes, (1e-3, 5e-4, 2e-3), strict=False):
        run.settings.batch_size, run.settings.g_lr = batch_size, rate
        next(run)
        if batch_size == batch_sizes[1]:
            run.rewind(0)
        next(run)


def test_another_batch_size_is_another_graph_and_rewinding_keeps_the_graphs():
    plain, compiled = pair = runs(traced)
    for run in pair:
        there_and_back(run, 7, 5, 7)
    assert len(compiled._graphs) == 2
    assert_same(plain, compiled)


@pytest.mark.usefixtures("compiler")
def test_compiled_it_equals_the_plain_run():
    pair = runs(whole_graph)
    for run in pair:
        there_and_back(run, 7, 7)
    assert_same(*pair)


def test_resumed_the_next_step_is_the_same_to_the_bit(tmp_path):
    _, run = runs(eager)
    _, again = runs(eager)
    for _record in run.take(5):
        pass
    run.save(tmp_path / "run")
    again.load(tmp_path / "run")
    assert next(again).values == next(run).values
    run.rewind(0)
    assert run.step == 0
    next(run)


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("conditional", {}),
        ("convolutional", {}),
        ("article", {"loss": "wasserstein"}),
        ("article", {"d_steps": 2}),
    ],
)
def test_what_the_graph_has_no_place_for_is_told(architecture, settings):
    with pytest.raises(ValueError, match="a compiled step needs"):
        CompiledGANRun(
            *make_gan(architecture),
            load_digits(split="test"),
            settings=GANSettings(**settings),
            compile=eager,
        )


def test_a_step_that_is_refused_draws_no_numbers():
    _, run = runs(eager)
    _, other = runs(eager)
    run.settings.d_steps = 2
    with pytest.raises(ValueError, match="a compiled step needs"):
        next(run)
    run.settings.d_steps = 1
    assert next(run).values == next(other).values
