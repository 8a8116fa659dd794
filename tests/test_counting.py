"""Formulas against networks that are built, run and trained, and against published tables."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.counting import (
    approximate_training_flops,
    count_parameters,
    forward_flops,
    serving_memory,
    training_flops,
    training_memory,
)
from bigmodel_lib.models.attention import causal_mask
from bigmodel_lib.models.transformer import GPT, PRESETS, GPTConfig

# different primes; D = H · 7
B, T = 2, 5
SMALL = GPTConfig(V=11, T=13, L=2, D=21, H=3)
EVERY_PRESET = pytest.mark.parametrize("name", PRESETS)

# Brown et al. 2020: sizes in the first column of table 2.1
TABLE_2_1 = {
    "GPT-3 125M": 125e6,
    "GPT-3 350M": 350e6,
    "GPT-3 760M": 760e6,
    "GPT-3 1.3B": 1.3e9,
    "GPT-3 2.7B": 2.7e9,
    "GPT-3 6.7B": 6.7e9,
    "GPT-3 13B": 13.0e9,
    "GPT-3 175B": 175.0e9,
}
# table D.1: parameters, FLOPs of training on 300 billion tokens
TABLE_D_1 = {
    "GPT-3 125M": (125e6, 2.25e20),
    "GPT-3 350M": (356e6, 6.41e20),
    "GPT-3 760M": (760e6, 1.37e21),
    "GPT-3 1.3B": (1320e6, 2.38e21),
    "GPT-3 2.7B": (2650e6, 4.77e21),
    "GPT-3 6.7B": (6660e6, 1.20e22),
    "GPT-3 13B": (12850e6, 2.31e22),
    "GPT-3 175B": (174600e6, 3.14e23),
}


def on_meta(config: GPTConfig) -> GPT:
    """A network with shapes and no numbers."""
    with torch.device("meta"):
        return GPT(config)


def size(parameters) -> int:
    return sum(p.numel() for p in parameters)


# --- parameters


@EVERY_PRESET
def test_parameters_equal_the_network_part_by_part(name):
    config = PRESETS[name]
    model, count = on_meta(config), count_parameters(config)
    assert count.embedding == size(model.tokens.parameters())
    assert count.positions == size(model.positions.parameters())
    assert count.attention == sum(size(b.attention.parameters()) for b in model.blocks)
    assert count.mlp == sum(size(b.mlp.parameters()) for b in model.blocks)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert count.norms == sum(size(norm.parameters()) for norm in norms)
    assert count.total == size(model.parameters())
    outside = size(model.blocks.parameters()) + size(model.norm.parameters())
    assert count.without_embeddings == outside


def test_gpt_2_has_the_size_of_the_released_weights():
    names = ["GPT-2 small", "GPT-2 medium", "GPT-2 large", "GPT-2 XL"]
    totals = [count_parameters(PRESETS[name]).total for name in names]
    assert totals == [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]


def further_than(tolerance: float) -> list[str]:
    """Models whose size is further from the name in table 2.1 than that."""
    off = {n: abs(count_parameters(PRESETS[n]).total / p - 1) for n, p in TABLE_2_1.items()}
    return [name for name, difference in off.items() if difference > tolerance]


def test_sizes_are_those_of_table_2_1():
    assert set(TABLE_2_1) == {name for name in PRESETS if name.startswith("GPT-3")}
    assert further_than(0.07) == []
    # "350M" has 356M, "1.3B" 1.316B, "2.7B" 2.65B, "13B" 12.85B
    assert further_than(0.01) == ["GPT-3 350M", "GPT-3 1.3B", "GPT-3 2.7B", "GPT-3 13B"]


@pytest.mark.parametrize("name", TABLE_D_1)
def test_sizes_and_compute_are_those_of_table_d_1(name):
    N, flops = TABLE_D_1[name]
    count = count_parameters(PRESETS[name]).total
    assert count == pytest.approx(N, rel=0.004)  # three digits are printed
    assert approximate_training_flops(count, 300e9) == pytest.approx(flops, rel=0.006)


def test_table_d_1_was_computed_with_a_width_of_5120():
    """Table 2.1 says 5140 for the 13B model; H does not change the size, 20 divides 5140."""
    printed = replace(PRESETS["GPT-3 13B"], D=5140, H=20)
    assert round(count_parameters(printed).total / 1e7) == 1295
    assert round(count_parameters(PRESETS["GPT-3 13B"]).total / 1e7) == 1285


# --- memory


def test_training_memory_equals_what_adam_holds():
    model = GPT(SMALL)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.zeros(B, T, dtype=torch.int64)).sum().backward()
    optimiser.step()
    memory = training_memory(count_parameters(SMALL).total, "float32")
    parameters = list(model.parameters())
    assert memory.weights == sum(p.nbytes for p in parameters)
    assert memory.gradients == sum(p.grad.nbytes for p in parameters)
    states = [optimiser.state[p] for p in parameters]
    assert memory.moments == sum(s["exp_avg"].nbytes + s["exp_avg_sq"].nbytes for s in states)
    assert memory.master == 0


def test_training_memory_is_that_of_the_zero_paper():
    """Section 3.1: 2N + 2N + 12N, "at least 24 GB" for GPT-2 with 1.5 billion parameters."""
    memory = training_memory(1_500_000_000, "mixed")
    assert (memory.weights, memory.gradients) == (3e9, 3e9)
    assert memory.master + memory.moments == 12 * 1.5e9
    assert memory.total == 24e9
    assert training_memory(7, "float32").total == training_memory(7, "mixed").total == 16 * 7


def test_cache_equals_the_keys_and_values_of_a_run():
    model, kept = GPT(SMALL).half(), []
    for block in model.blocks:  # behind the queries, which nobody needs again
        block.attention.qkv.register_forward_hook(
            lambda _, inputs, qkv: kept.append(qkv[..., SMALL.D :].clone().nbytes)
        )
    model(torch.zeros(B, T, dtype=torch.int64))
    memory = serving_memory(SMALL, B, T)
    assert memory.cache == sum(kept)
    assert memory.weights == sum(p.nbytes for p in model.parameters())
    assert memory.total == memory.cache + memory.weights


def test_serving_in_other_formats():
    two = serving_memory(SMALL)
    other = serving_memory(SMALL, weight_bytes=1, cache_bytes=4)
    assert two == serving_memory(SMALL, 1, SMALL.T)
    assert (2 * other.weights, other.cache) == (two.weights, 2 * two.cache)


# --- arithmetic


def counted(T: int) -> tuple[int, int]:
    """FLOPs of a forward pass, and of forward and backward, as PyTorch's counter sees them."""
    ids = torch.zeros(B, T, dtype=torch.int64)
    model = GPT(SMALL)
    # the plain kernel: fused ones compute the scores again in the backward pass
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits = model(ids)
        forward = counter.get_total_flops()
        logits.sum().backward()
    return forward, counter.get_total_flops()


@pytest.mark.parametrize("T", [1, 5, 13])
def test_flops_equal_pytorchs_counter(T):
    forward, both = counted(T)
    assert B * T * forward_flops(SMALL, T).total == forward
    assert B * T * training_flops(SMALL, T).total == both


def test_causal_counts_what_the_mask_leaves():
    full, causal = forward_flops(SMALL, T), forward_flops(SMALL, T, causal=True)
    looks = causal_mask(T).sum().item()
    assert causal.scores * T * T == full.scores * looks
    assert causal.averages == causal.scores
    assert (causal.projections, causal.mlp, causal.logits) == (
        full.projections,
        full.mlp,
        full.logits,
    )


@EVERY_PRESET
def test_two_for_each_weight_and_attention_on_top(name):
    config = PRESETS[name]
    N, flops = count_parameters(config), forward_flops(config)
    assert flops.projections + flops.mlp == 24 * config.L * config.D**2
    # biases and norms are parameters that take part in no product of matrices
    assert flops.projections + flops.mlp == pytest.approx(2 * N.without_embeddings, rel=2e-3)
    assert flops.logits == 2 * N.embedding
    assert flops.scores + flops.averages == 4 * config.L * config.T * config.D


def test_six_n_leaves_out_little_of_the_largest_and_much_of_the_smallest():
    def left_out(name):
        exact = training_flops(PRESETS[name]).total
        return 1 - approximate_training_flops(count_parameters(PRESETS[name]).total, 1) / exact

    assert 0.02 < left_out("GPT-3 175B") < 0.03
    assert 0.2 < left_out("GPT-3 125M") < 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: training_memory(0), "N of at least 1, got 0"),
        (lambda: training_memory(1, "int4"), r"\['float32', 'mixed'\], got 'int4'"),
        (lambda: serving_memory(SMALL, 0), "B of at least 1, got 0"),
        (lambda: serving_memory(SMALL, 1, 14), "T from 1 to 13, got 14"),
        (lambda: serving_memory(SMALL, weight_bytes=0), "weight_bytes of at least 1, got 0"),
        (lambda: serving_memory(SMALL, cache_bytes=0), "cache_bytes of at least 1, got 0"),
        (lambda: forward_flops(SMALL, 0), "T from 1 to 13, got 0"),
        (lambda: training_flops(SMALL, 14), "T from 1 to 13, got 14"),
        (lambda: approximate_training_flops(0, 1), "N of at least 1, got 0"),
        (lambda: approximate_training_flops(1, float("nan")), "tokens of at least 1, got nan"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
