"""The parts of the benchmarks of attention, GPT training and generation, at tiny sizes."""

import argparse
import copy

import attention
import generation
import gpt_training
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.counting import training_flops
from bigmodel_lib.models.transformer import GPT, GPT2_SMALL, GPTConfig
from side_by_side import operators

CPU = torch.device("cpu")
TINY = GPTConfig(V=31, T=13, L=2, D=12, H=3)
ARGS = argparse.Namespace(compile=False, seconds=0.0, clock="cpu")


@pytest.fixture
def model() -> GPT:
    torch.manual_seed(0)
    model = GPT(TINY).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def gpt2_peer():
    pytest.importorskip("transformers", reason="the peer lives in .venv-bench")
    import gpt2_peer

    return gpt2_peer


def test_our_training_step_moves_every_weight_each_time(model):
    step = gpt_training.our_step(model, torch.arange(31).repeat(9), B=8, T=13)
    for _ in range(2):
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        assert 2 < step()["loss"] < 20
        still = [name for name, w in model.named_parameters() if torch.equal(w, before[name])]
        assert still == []


@pytest.mark.parametrize("rows", [None, 8])
def test_a_step_for_speed_equals_the_plain_one(model, rows):
    """The same losses from the same weights, by other products and with fewer scores at once."""
    text, losses = torch.arange(31).repeat(9), []
    for fast in (False, True):
        torch.manual_seed(0)
        mine = copy.deepcopy(model)
        step = gpt_training.our_step(mine, text, B=4, T=13, rows=rows if fast else None)
        step = gpt_training.by_onednn(step) if fast else step
        losses.append([step()["loss"] for _ in range(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_bare_products_are_as_many_as_the_formula_counts(model):
    counted = FlopCounterMode(display=False)
    with counted:
        gpt_training.products(model, rows=26)()
    formula = training_flops(TINY)
    attention = 3 * 4 * TINY.L * TINY.T * TINY.D  # of q kᵀ and weights times v, 2 FLOPs each
    assert counted.get_total_flops() == 26 * (formula.total - attention)


def test_attention_alone_is_one_kernel_a_layer_and_way():
    found = operators(gpt_training.attention(TINY, 2, CPU))
    kernel = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert found[kernel] == found[f"{kernel}_backward"] == TINY.L


def test_utilisation_of_a_device_that_is_known():
    a_second = 1e5
    share = gpt_training.utilisation(GPT2_SMALL, a_second, "NVIDIA H100 80GB HBM3")
    assert share * 989e12 == pytest.approx(training_flops(GPT2_SMALL).total * a_second)
    assert gpt_training.utilisation(GPT2_SMALL, a_second, "some other device") is None


def test_an_accelerator_casts_and_a_cpu_does_not(monkeypatch):
    with gpt_training.casting(CPU):
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32
    monkeypatch.setattr(torch, "autocast", lambda *asked: asked)
    assert gpt_training.casting(torch.device("cuda")) == ("cuda", torch.bfloat16)


def test_our_writers_write_the_same(model):
    prompts = torch.randint(31, (2, 5))
    plain = generation.our_writer(model, prompts, 6)
    packed = generation.our_writer(generation.PackedGPT(model), prompts, 6)
    assert plain().shape == (2, 6)
    steps = generation.CompiledGPT(model, compile=lambda step: step)
    stepwise = generation.our_writer(steps, prompts, 6)
    generation.check_same({"plain": plain, "packed": packed, "compiled": stepwise})
    with pytest.raises(RuntimeError, match="others came from \\['longer'\\]"):
        generation.check_same({"plain": plain, "longer": generation.our_writer(model, prompts, 7)})


def test_reading_the_matrices_alone_makes_a_product_for_each_and_token(model):
    found = operators(generation.matrices(model, B=2, tokens=3))
    products = {name: n for name, n in found.items() if "linear" in name or "addmm" in name}
    assert sum(products.values()) == 3 * (4 * TINY.L + 1)


# --- beside the peer


@pytest.mark.parametrize(("activation", "tolerance"), [("gelu", 1e-4), ("gelu_new", 1e-1)])
def test_the_peer_with_our_weights_scores_as_ours(model, gpt2_peer, activation, tolerance):
    gpt_training.agree(
        model, gpt2_peer.as_gpt2(model, activation), torch.randint(31, (2, 13)), tolerance
    )


def test_both_take_the_same_training_step(model, gpt2_peer):
    """From the same weights, on the same batch, to the same loss and the same gradients."""
    theirs, ids = gpt2_peer.as_gpt2(model).train(), torch.randint(31, (2, 13))
    loss = theirs(input_ids=ids, labels=ids, use_cache=False).loss
    scores = model(ids)[:, :-1].flatten(0, 1)
    ours = nn.functional.cross_entropy(scores, ids[:, 1:].flatten())
    assert_close(loss, ours)
    loss.backward(), ours.backward()
    assert_close(theirs.transformer.wte.weight.grad, model.tokens.weight.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("gpt2_peer")
def test_training_is_compared_from_beginning_to_end():
    figures = gpt_training.compare(TINY, 2, CPU, ARGS)
    names = ["ours, for speed", "ours", *gpt_training.THEIRS]
    alone = ["products alone", "products alone, by oneDNN", "these and attention alone"]
    assert list(figures) == [*names, *alone]
    assert figures["ours, for speed"]["median"] == 1
    assert all(row["rounds"] >= 5 and row["tokens a second"] > 0 for row in figures.values())


@pytest.mark.usefixtures("gpt2_peer")
def test_generation_is_compared_from_beginning_to_end(model, monkeypatch):
    monkeypatch.setattr(generation, "PROMPT", 5)
    figures = generation.compare(model, 2, 4, ARGS)
    assert len(figures) == 6
    assert figures["ours, packed"]["median"] == 1


# --- attention


def test_all_layers_of_attention_map_alike_and_give_gradients():
    x = torch.randn(2, 5, attention.D, requires_grad=True)
    for run in attention.make_layers(CPU).values():
        x.grad = None
        attention.backward(run(x))
        assert run(x).shape == x.shape
        assert x.grad.abs().sum(dim=-1).min() > 0


def test_what_is_done_by_hand_is_what_our_layer_does():
    ours = attention.MultiHeadAttention(attention.D, attention.H)
    x = torch.randn(2, 5, attention.D)
    assert_close(attention.by_hand(x, ours.qkv, ours.out), ours(x))


def test_memory_grows_with_the_length_for_the_fused_paths_and_with_its_square_for_the_formula():
    memory = attention.compare_memory([1024, 2048])
    assert memory["formula"]["exponent"] > 1.8
    for path in ("fused", "our layer"):
        assert memory[path]["exponent"] < 1.1


def test_times_of_attention_are_compared():
    args = argparse.Namespace(seconds=0.0, clock="cpu", device="cpu")
    rows = attention.compare_times(args, [3])
    assert {row["T"] for row in rows} == {3}
    assert len(rows) >= 3
    assert all(row["rounds"] >= 5 for row in rows)


# --- what a step calls: a guard that does not depend on the clock


def test_a_token_more_moves_no_token_before_it_and_sorts_nothing(model):
    prompts = torch.randint(31, (2, 3))
    six, seven = (operators(generation.our_writer(model, prompts, n)) for n in (6, 7))
    more = seven - six
    assert sum(n for name, n in more.items() if "mm" in name or "linear" in name) == 4 * TINY.L + 1
    assert more["aten::cat"] == 1  # of the tokens themselves, not of the cache
    assert not {"aten::sort", "aten::multinomial", "aten::tril"} & more.keys()


def test_one_kernel_moves_all_matrices_and_one_all_the_rest(model):
    step = gpt_training.our_step(model, torch.arange(31).repeat(9), B=2, T=13)
    found = operators(step)
    assert found["aten::_fused_adamw_"] == 2
    assert found["aten::_scaled_dot_product_flash_attention_for_cpu"] == TINY.L
