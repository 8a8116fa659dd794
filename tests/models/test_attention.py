"""Attention against PyTorch's, against a loop, and against what must hold for any input."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from bigmodel_lib.models.attention import (
    KeyValueCache,
    MultiHeadAttention,
    attention,
    attention_loop,
    causal_mask,
    check_mask,
    fused_attention,
    padding_mask,
    sliding_window_mask,
)
from bigmodel_lib.models.positions import Rotary, alibi_bias

# primes, all different, so that no two axes can be mistaken for each other
B, H, T, S, d, e = 2, 3, 5, 7, 11, 13
GPU = pytest.mark.skipif(not torch.accelerator.is_available(), reason="no GPU on this machine")
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def output_only(*args, **kwargs):
    return attention(*args, **kwargs)[0]


BOTH = pytest.mark.parametrize("attend", [output_only, fused_attention], ids=["formula", "fused"])


def qkv(B=B, H=H, T=T, S=S, d=d, e=e, *, kv_heads=None, seed=0, **options):
    """Random queries, keys and values; leaves with gradients."""
    g = torch.Generator().manual_seed(seed)
    K = H if kv_heads is None else kv_heads
    shapes = [(B, H, T, d), (B, K, S, d), (B, K, S, e)]
    draws = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes)
    options = {"dtype": torch.float64} | options
    return [x.to(**options).requires_grad_() for x in draws]


def some_mask(*shape, seed=1):
    """A random mask, in which each query sees at least the first key."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[..., 0] = True
    return mask


MASKS = {
    "none": None,
    "one for all": some_mask(T, S),
    "per sequence": some_mask(B, 1, T, S),
    "per head": some_mask(H, T, S),
    "each its own": some_mask(B, H, T, S),
    "padding": padding_mask(torch.tensor([7, 4]), S),
}


def gradients(output, inputs):
    """Of a sum in which every entry has a weight of its own."""
    g = torch.Generator().manual_seed(9)
    weight = torch.randn(output.shape, generator=g, dtype=torch.float64).to(output)
    return torch.autograd.grad((output * weight).sum(), inputs)


# --- oracles


@BOTH
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_pytorch_with_gradients(attend, mask, dtype):
    inputs = qkv(dtype=dtype)
    ours = attend(*inputs, mask)
    theirs = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    assert_close(ours, theirs)
    assert_close(gradients(ours, inputs), gradients(theirs, inputs))


@BOTH
@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_scale_equals_pytorch(attend, scale):
    inputs = qkv()
    theirs = F.scaled_dot_product_attention(*inputs, scale=scale)
    assert_close(attend(*inputs, scale=scale), theirs)


@BOTH
def test_causal_equals_pytorch(attend):
    inputs = qkv(T=S)
    theirs = F.scaled_dot_product_attention(*inputs, is_causal=True)
    assert_close(attend(*inputs, causal=True), theirs)


@BOTH
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("shape", [(T, S), (H, T, S), (B, 1, 1, S)])
def test_bias_is_added_to_the_scaled_scores(attend, mask, shape):
    """PyTorch adds a mask of floats, so -inf where one may not look gives both at once."""
    inputs = qkv()
    bias = torch.randn(shape, dtype=torch.float64)
    both = bias if mask is None else torch.where(mask, bias, -math.inf)
    theirs = F.scaled_dot_product_attention(*inputs, attn_mask=both)
    assert_close(attend(*inputs, mask, bias=bias), theirs)


@BOTH
def test_a_bias_learns(attend):
    """A learned bias gets the gradient that PyTorch gives it, on both paths."""
    bias = torch.randn(H, T, S, dtype=torch.float64, requires_grad=True)
    ours = gradients(attend(*qkv(), bias=bias), bias)
    theirs = gradients(F.scaled_dot_product_attention(*qkv(), attn_mask=bias), bias)
    assert_close(ours, theirs)


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_bias_may_be_in_another_number_format(attend, dtype):
    inputs, bias = qkv(dtype=dtype), alibi_bias(H, T, S).double()
    output = attend(*inputs, bias=bias)
    assert output.dtype == dtype
    assert_close(output, attend(*inputs, bias=bias.to(dtype)))


@BOTH
@pytest.mark.parametrize("axes", [0, 1])
def test_heads_and_batch_may_be_missing(attend, axes):
    """(T, d) and (H, T, d) give what one sequence of a batch gives."""
    inputs = qkv(B=1, H=1 if axes == 0 else H)
    few = [x[(0,) * (2 - axes)] for x in inputs]
    mask = some_mask(T, S)
    ours = attend(*few, mask)
    assert_close(ours, attend(*inputs, mask)[(0,) * (2 - axes)])
    assert ours.shape == (*few[0].shape[:-1], e)


@pytest.mark.parametrize("dtype", HALVES)
@BOTH
def test_half_formats_on_the_cpu(attend, dtype):
    inputs = qkv(dtype=dtype)
    theirs = F.scaled_dot_product_attention(*(x.float() for x in inputs))
    assert_close(attend(*inputs), theirs.to(dtype), rtol=2e-2, atol=2e-2)


@GPU
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("causal", [False, True])
@BOTH
def test_half_formats_on_a_gpu_with_gradients(attend, dtype, causal):
    """Widths of 16 and 64 positions, so that the fused kernels for half formats take part."""
    device = torch.accelerator.current_accelerator()
    inputs = qkv(T=64, S=64, d=16, e=16, device=device, dtype=dtype)
    exact = [x.detach().cpu().double().requires_grad_() for x in inputs]
    ours = attend(*inputs, causal=causal)
    theirs = F.scaled_dot_product_attention(*exact, is_causal=causal)
    assert_close(ours.cpu().double(), theirs, rtol=2e-2, atol=2e-2)
    pairs = zip(gradients(ours, inputs), gradients(theirs, exact), strict=True)
    for here, there in pairs:
        assert_close(here.cpu().double(), there, rtol=5e-2, atol=5e-2)


@GPU
@pytest.mark.parametrize("dtype", HALVES)
def test_multi_head_in_half_formats_on_a_gpu(dtype):
    device = torch.accelerator.current_accelerator()
    theirs, ours = twins(D=64, H=4, dtype=torch.float32)
    theirs, ours = theirs.to(device, dtype), ours.to(device, dtype)
    x = torch.randn(B, 61, 64, device=device, dtype=dtype)
    expected, _ = theirs(x, x, x, need_weights=False)
    assert_close(ours(x), expected, rtol=3e-2, atol=3e-2)
    assert_close(ours(x, need_weights=True)[0], expected, rtol=3e-2, atol=3e-2)


@pytest.mark.parametrize("mask", [None, some_mask(T, S), some_mask(1, S)])
def test_the_loop_equals_the_formula(mask):
    inputs = qkv(B=1, H=1)
    q, k, v = (x[0, 0] for x in inputs)
    loop, formula = attention_loop(q, k, v, mask), attention(q, k, v, mask)
    assert_close(loop, formula)
    assert_close(gradients(loop[0], inputs), gradients(formula[0], inputs))


def test_the_loop_does_not_overflow():
    q = torch.full((T, 1), 1000.0)
    k = torch.linspace(-1, 1, S)[:, None]
    assert_close(attention_loop(q, k, k), attention(q, k, k))


def test_float16_scores_do_not_overflow_before_they_are_scaled():
    """q kᵀ = 20 · 20 · 256 = 102,400 is over float16's 65,504; divided by √256 it is 6,400."""
    q = torch.full((1, 256), 20.0, dtype=torch.float16)
    assert attention(q, q, q)[0].isfinite().all()


# --- grouped queries


@BOTH
@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
def test_grouped_queries_equal_repeated_heads(attend, kv_heads):
    inputs = qkv(H=6, kv_heads=kv_heads)
    q, k, v = inputs
    k_all, v_all = (x.repeat_interleave(6 // kv_heads, dim=1) for x in (k, v))
    mask = some_mask(B, 6, T, S)
    ours, theirs = attend(q, k, v, mask), attend(q, k_all, v_all, mask)
    assert_close(ours, theirs)
    assert_close(gradients(ours, inputs), gradients(theirs, inputs))


# --- properties

sizes = st.integers(1, 6)
seeds = st.integers(0, 1000)


@given(sizes, sizes, sizes, sizes, seeds, st.floats(0.01, 30))
def test_rows_of_weights_sum_to_1_and_are_not_negative(T, S, d, e, seed, size):
    q, k, v = qkv(T=T, S=S, d=d, e=e, seed=seed)
    _, weights = attention(size * q, k, v, some_mask(T, S, seed=seed))
    assert weights.shape == (B, H, T, S)
    assert (weights >= 0).all()
    assert_close(weights.sum(dim=-1), torch.ones(B, H, T, dtype=weights.dtype))


@BOTH
@given(T=sizes, S=sizes, d=sizes, seed=seeds, size=st.floats(0.01, 30))
def test_outputs_lie_between_the_smallest_and_the_largest_value(attend, T, S, d, seed, size):
    q, k, v = qkv(T=T, S=S, d=d, seed=seed)
    output = attend(size * q, k, v)
    tolerance = 1e-12
    assert (output >= v.amin(dim=-2, keepdim=True) - tolerance).all()
    assert (output <= v.amax(dim=-2, keepdim=True) + tolerance).all()


@BOTH
@given(T=sizes, S=sizes, seed=seeds)
def test_the_mask_hides_values_and_weights_are_zero_there(attend, T, S, seed):
    q, k, v = qkv(T=T, S=S, seed=seed)
    mask = some_mask(T, S, seed=seed)
    (slope,) = torch.autograd.grad(attend(q, k, v, mask).sum(dim=(0, 1, 3))[-1], v)
    assert ((slope != 0).any(dim=-1) == mask[-1]).all()
    assert ((attention(q, k, v, mask)[1] != 0) == mask).all()


@BOTH
@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("with_bias", [False, True])
def test_causal_leaks_nothing_from_the_future(attend, extra, with_bias):
    """Query t of T, the last T of S positions, depends on keys and values 0 … S - T + t."""
    q, k, v = qkv(T=T, S=T + extra)
    bias = torch.randn(T, T + extra, dtype=torch.float64) if with_bias else None
    output = attend(q, k, v, causal=True, bias=bias)
    for t in range(T):
        slopes = torch.autograd.grad(output[:, :, t].sum(), (k, v), retain_graph=True)
        for slope in slopes:
            seen = (slope != 0).any(dim=-1)
            # The first query with a single key weighs it 1, whatever the key is.
            known = t + extra > 0 or slope is slopes[1]
            assert seen[:, :, : t + extra + 1].all() == known
            assert not seen[:, :, t + extra + 1 :].any()


@BOTH
def test_causal_and_mask_both_hold(attend):
    inputs = qkv(T=S)
    mask = padding_mask(torch.tensor([7, 4]), S)
    expected = attend(*inputs, mask & causal_mask(S))
    assert_close(attend(*inputs, mask, causal=True), expected)


@BOTH
@given(T=sizes, S=sizes, data=st.data())
def test_without_positions_attention_sees_a_set(attend, T, S, data):
    """Reordered keys with their values change nothing; reordered queries reorder the output."""
    q, k, v = qkv(T=T, S=S)
    keys = data.draw(st.permutations(range(S)))
    queries = data.draw(st.permutations(range(T)))
    assert_close(
        attend(q[:, :, queries], k[:, :, keys], v[:, :, keys]), attend(q, k, v)[:, :, queries]
    )


# --- masks


def test_causal_mask():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True] * 3]
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]


def test_sliding_window_mask():
    assert sliding_window_mask(3, 2).tolist() == [
        [True, False, False],
        [True, True, False],
        [False, True, True],
    ]


@given(st.integers(1, 20), st.integers(1, 30))
def test_a_window_of_T_or_more_is_causal(T, window):
    mask = sliding_window_mask(T, window)
    assert mask.equal(causal_mask(T)) == (window >= T)
    assert mask.sum(dim=-1).tolist() == [min(t + 1, window) for t in range(T)]


def test_padding_mask():
    mask = padding_mask(torch.tensor([3, 1]), 3)
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, True], [True, False, False]]


def test_check_mask_gives_the_mask_back():
    mask = padding_mask(torch.tensor([3, 1]), 3) & causal_mask(3)
    assert check_mask(mask) is mask


# --- multi-head attention


def twins(D=6 * 5, H=5, *, bias=True, dtype=torch.float64):
    """PyTorch's layer and ours with the same random weights."""
    theirs = nn.MultiheadAttention(D, H, bias=bias, batch_first=True, dtype=dtype)
    ours = MultiHeadAttention(D, H, bias=bias).to(dtype)
    ours.qkv.weight.data.copy_(theirs.in_proj_weight)
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    if bias:
        nn.init.normal_(theirs.in_proj_bias)  # PyTorch starts at 0, which would hide errors
        ours.qkv.bias.data.copy_(theirs.in_proj_bias)
    return theirs, ours


def numbers(*shape, dtype=torch.float64, seed=4):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("across", [False, True])
def test_multi_head_equals_pytorch_with_gradients(dtype, bias, need_weights, across):
    theirs, ours = twins(bias=bias, dtype=dtype)
    x = numbers(B, T, 30, dtype=dtype)
    context = numbers(B, S, 30, dtype=dtype, seed=5) if across else x
    mask = some_mask(T, S if across else T)
    expected, expected_weights = theirs(
        x, context, context, attn_mask=~mask, average_attn_weights=False
    )
    output = ours(x, context if across else None, mask, need_weights=need_weights)
    if need_weights:
        output, weights = output
        assert_close(weights, expected_weights)
    assert_close(output, expected)

    parameters = [ours.qkv.weight, ours.out.weight] + [ours.qkv.bias, ours.out.bias] * bias
    originals = [theirs.in_proj_weight, theirs.out_proj.weight]
    originals += [theirs.in_proj_bias, theirs.out_proj.bias] * bias
    inputs = [x, context] if across else [x]
    assert_close(
        gradients(output, inputs + parameters),
        gradients(expected, inputs + originals),
        **({"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {}),
    )


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_padding_and_causal_equal_pytorch(need_weights):
    theirs, ours = twins()
    x, real = numbers(B, S, 30), padding_mask(torch.tensor([7, 4]), S)
    expected, _ = theirs(x, x, x, key_padding_mask=~real[:, 0, 0], attn_mask=~causal_mask(S))
    output = ours(x, mask=real, causal=True, need_weights=need_weights)
    assert_close(output[0] if need_weights else output, expected)


@pytest.mark.parametrize("kv_heads", [1, 2, 3])
@pytest.mark.parametrize("need_weights", [True, False])
def test_grouped_multi_head_equals_one_with_repeated_weights(kv_heads, need_weights):
    """Fewer heads of keys and values are a full layer in which groups have equal weights."""
    few, full = (MultiHeadAttention(42, 6, kv_heads=k, rotary=None).double() for k in (kv_heads, 6))
    assert few.qkv.weight.shape == (42 + 2 * kv_heads * 7, 42)
    for name in ("weight", "bias"):
        parts = getattr(few.qkv, name).data.split([42, kv_heads * 7, kv_heads * 7])
        wide = [
            part.unflatten(0, (kv_heads, 7)).repeat_interleave(6 // kv_heads, dim=0).flatten(0, 1)
            for part in parts[1:]
        ]
        getattr(full.qkv, name).data.copy_(torch.cat([parts[0], *wide]))
    full.out.load_state_dict(few.out.state_dict())
    for context in (None, numbers(B, S, 42, seed=5)):
        x = numbers(B, T, 42)
        assert_close(
            few(x, context, need_weights=need_weights), full(x, context, need_weights=need_weights)
        )


def test_weights_come_only_on_request():
    layer, x = MultiHeadAttention(30, 5), numbers(B, T, 30, dtype=torch.float32)
    assert isinstance(layer(x), torch.Tensor)
    _, weights = layer(x, need_weights=True)
    assert weights.shape == (B, 5, T, T)


def test_options_reach_both_paths():
    """Each changes the output, and both paths agree on it."""
    plain, scaled = (
        MultiHeadAttention(30, 5).double(),
        MultiHeadAttention(30, 5, scale=3.0).double(),
    )
    turned = MultiHeadAttention(30, 5, rotary=Rotary(6, T)).double()
    for layer in (scaled, turned):
        layer.load_state_dict(plain.state_dict())  # rotary tables are in no checkpoint
    x, bias = numbers(B, T, 30), alibi_bias(5, T)
    for layer, options in [
        (scaled, {}),
        (turned, {}),
        (plain, {"bias": bias}),
        (plain, {"causal": True}),
    ]:
        output = layer(x, **options)
        assert_close(output, layer(x, need_weights=True, **options)[0])
        assert (output - plain(x)).abs().max() > 1e-3


def test_rotary_turns_queries_and_keys_but_not_values():
    layer = MultiHeadAttention(30, 5, rotary=Rotary(6, T)).double()
    x = numbers(B, T, 30)
    q, k, v = (y.unflatten(-1, (5, 6)).transpose(1, 2) for y in layer.qkv(x).chunk(3, dim=-1))
    mixed = F.scaled_dot_product_attention(layer.rotary(q), layer.rotary(k), v)
    assert_close(layer(x), layer.out(mixed.transpose(1, 2).flatten(2)))


def test_multi_head_without_positions_is_permutation_equivariant():
    layer, x, order = MultiHeadAttention(30, 5).double(), numbers(B, T, 30), [3, 1, 4, 0, 2]
    assert_close(layer(x[:, order]), layer(x)[:, order])
    with_positions = MultiHeadAttention(30, 5, rotary=Rotary(6, T)).double()
    difference = with_positions(x[:, order]) - with_positions(x)[:, order]
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_multi_head_leaks_nothing_from_the_future(need_weights):
    layer, x = MultiHeadAttention(30, 5, rotary=Rotary(6, T)).double(), numbers(B, T, 30)
    output = layer(x, causal=True, need_weights=need_weights)
    output = output[0] if need_weights else output
    for t in range(T):
        (slope,) = torch.autograd.grad(output[:, t].sum(), x, retain_graph=True)
        seen = (slope != 0).any(dim=-1)
        assert seen[:, : t + 1].all()
        assert not seen[:, t + 1 :].any()


def test_sequences_of_a_batch_do_not_mix():
    layer, x = MultiHeadAttention(30, 5).double(), numbers(B, T, 30)
    (slope,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert (slope[0] != 0).all()
    assert (slope[1] == 0).all()


def saved_bytes(function):
    """What autograd keeps between forward and backward, each storage once."""
    storages = {}

    def pack(x):
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        function()
    return sum(storages.values())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("axes", "kv_heads"), [(2, 4), (3, 4), (3, 2), (4, 4), (4, 2)])
def test_fused_memory_grows_with_length_not_with_its_square(causal, kv_heads, axes):
    kept = []
    for length in (128, 256):
        inputs = qkv(H=4, T=length, S=length, d=8, e=8, kv_heads=kv_heads)
        few = [x[(0,) * (4 - axes)] for x in inputs]
        kept.append(saved_bytes(lambda few=few: fused_attention(*few, causal=causal)))
    assert kept[1] == pytest.approx(2 * kept[0], rel=0.02)


def test_a_mask_of_three_axes_is_fused_too():
    """PyTorch alone would take the path that holds the weights."""
    inputs, mask = qkv(T=61, S=61, d=8, e=8), some_mask(61, 61)
    kept = [saved_bytes(lambda m=m: fused_attention(*inputs, m)) for m in (mask, mask[None])]
    assert kept[1] == kept[0]


def test_layers_can_be_exported():
    """The checks of values step aside where a graph is recorded and there are none."""
    layer = MultiHeadAttention(30, 5, rotary=Rotary(6, T))
    x, mask = numbers(B, T, 30, dtype=torch.float32).detach(), some_mask(T, T)
    program = torch.export.export(layer, (x,), {"mask": mask, "causal": True})
    assert_close(program.module()(x, mask=mask, causal=True), layer(x, mask=mask, causal=True))


# --- bad input: each its own clear error

ints = torch.ones(B, H, T, d, dtype=torch.int64)


def floats(*shape):
    return torch.ones(shape)


@BOTH
@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ((ints, ints, ints), TypeError, "q, k and v of floats, got torch.int64"),
        ((floats(2, 5, 11), floats(7, 11), floats(7, 13)), ValueError, "equally many axes"),
        ((floats(11), floats(11), floats(11)), ValueError, "equally many axes"),
        ((floats(5, 11), floats(7, 12), floats(7, 13)), ValueError, r"one width d.*k \(7, 12\)"),
        ((floats(5, 0), floats(7, 0), floats(7, 13)), ValueError, "one width d ≥ 1"),
        ((floats(5, 11), floats(7, 11), floats(8, 13)), ValueError, r"one length S.*v \(8, 13\)"),
        ((floats(5, 11), floats(0, 11), floats(0, 13)), ValueError, "one length S ≥ 1"),
        (
            (floats(2, 3, 5, 11), floats(3, 3, 7, 11), floats(3, 3, 7, 13)),
            ValueError,
            "one batch size",
        ),
        (
            (floats(2, 6, 5, 11), floats(2, 3, 7, 11), floats(2, 2, 7, 13)),
            ValueError,
            "equally many heads",
        ),
        (
            (floats(2, 3, 5, 11), floats(2, 2, 7, 11), floats(2, 2, 7, 13)),
            ValueError,
            "as many heads in q",
        ),
        (
            (floats(2, 3, 5, 11), floats(2, 0, 7, 11), floats(2, 0, 7, 13)),
            ValueError,
            "as many heads in q",
        ),
    ],
)
def test_inputs_that_do_not_fit(attend, inputs, error, message):
    with pytest.raises(error, match=message):
        attend(*inputs)


row_4_is_blind = causal_mask(S)[:T].clone()
row_4_is_blind[4] = False


@BOTH
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.zeros(T, S), TypeError, r"mask of bool.*torch.float32.*bias"),
        (torch.ones(T, S, dtype=torch.int64), TypeError, "mask of bool.*torch.int64"),
        (some_mask(S, T), ValueError, r"mask broadcastable.*\(2, 3, 5, 7\), got \(7, 5\)"),
        (some_mask(B, S), ValueError, r"mask broadcastable.*got \(2, 7\)"),
        (some_mask(1, B, H, T, S), ValueError, "mask broadcastable"),
        (row_4_is_blind, ValueError, r"row \(4,\) of \(5, 7\) has none"),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_masks_that_do_not_fit(attend, mask, error, message, causal):
    with pytest.raises(error, match=message):
        attend(*qkv(), mask, causal=causal)


@BOTH
def test_mask_and_causal_together_may_leave_nothing(attend):
    last_only = torch.zeros(B, 1, 1, S, dtype=torch.bool)
    last_only[..., -1] = True  # padding on the left
    with pytest.raises(ValueError, match="key to look at in every row"):
        attend(*qkv(T=S), last_only, causal=True)


@BOTH
def test_causal_with_more_queries_than_keys(attend):
    with pytest.raises(ValueError, match=r"1 ≤ T ≤ S.*got T=7, S=5"):
        attend(*qkv(T=7, S=5), causal=True)


@BOTH
@pytest.mark.parametrize(
    ("bias", "error", "message"),
    [
        (some_mask(T, S), TypeError, "bias of floats, got torch.bool"),
        (torch.zeros(S, T), ValueError, r"bias broadcastable.*got \(7, 5\)"),
        (torch.full((T, S), -math.inf), ValueError, "finite bias"),
    ],
)
def test_biases_that_do_not_fit(attend, bias, error, message):
    with pytest.raises(error, match=message):
        attend(*qkv(), bias=bias)


def test_the_loop_takes_one_head():
    with pytest.raises(ValueError, match=r"one head of one sequence.*\(2, 3, 5, 11\)"):
        attention_loop(*qkv())
    with pytest.raises(ValueError, match="has none"):
        attention_loop(*(x[0, 0] for x in qkv()), row_4_is_blind)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: causal_mask(0), ValueError, "got T=0, S=0"),
        (lambda: causal_mask(3, 2), ValueError, "nothing to look at; got T=3, S=2"),
        (lambda: sliding_window_mask(3, 0), ValueError, "window of at least 1.*got 0"),
        (lambda: sliding_window_mask(0, 1), ValueError, "got T=0"),
        (lambda: padding_mask(torch.tensor([2, 0]), 3), ValueError, r"1 to S=3, got \[2, 0\]"),
        (lambda: padding_mask(torch.tensor([2, 4]), 3), ValueError, r"1 to S=3, got \[2, 4\]"),
        (lambda: padding_mask(torch.tensor([[2]]), 3), ValueError, r"lengths \(B,\), got \(1, 1\)"),
        (lambda: padding_mask(torch.tensor([2.0]), 3), TypeError, "integer lengths.*float32"),
        (lambda: padding_mask(torch.tensor([True]), 3), TypeError, "integer lengths.*bool"),
        (lambda: check_mask(torch.zeros(2, 3)), TypeError, "mask of bool"),
        (lambda: check_mask(row_4_is_blind), ValueError, r"row \(4,\)"),
    ],
)
def test_builders_refuse(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"D": 30, "H": 4}, "divide the width D=30, got H=4"),
        ({"D": 30, "H": 0}, "got H=0"),
        ({"D": 0, "H": 1}, "width D=0"),
        ({"D": 30, "H": 6, "kv_heads": 4}, "divide H=6, got 4"),
        ({"D": 30, "H": 6, "kv_heads": 0}, "divide H=6, got 0"),
        ({"D": 30, "H": 5, "rotary": Rotary(4, T)}, "width D/H=6, got 4"),
    ],
)
def test_multi_head_settings_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**options)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (torch.ones(B, T, dtype=torch.int64), {}, TypeError, "x.*torch.int64.*embedded first"),
        (floats(B, T, 29), {}, ValueError, r"x \(B, T, D\) with D=30, got \(2, 5, 29\)"),
        (floats(T, 30), {}, ValueError, r"got \(5, 30\)"),
        (floats(B, T, 30), {"context": floats(B, S, 29)}, ValueError, "context.*D=30"),
        (
            floats(B, T, 30),
            {"context": floats(3, S, 30)},
            ValueError,
            "one batch size, got 2 and 3",
        ),
        (
            floats(B, T, 30),
            {"context": floats(B, S, 30), "causal": True},
            ValueError,
            "causal attention needs one sequence",
        ),
        (floats(B, T, 30), {"mask": some_mask(T, S)}, ValueError, "mask broadcastable"),
        (floats(B, T, 30), {"mask": floats(T, T)}, TypeError, "mask of bool"),
        (floats(B, T, 30), {"mask": row_4_is_blind[:, :T], "causal": True}, ValueError, "has none"),
    ],
)
def test_multi_head_inputs_that_do_not_fit(x, options, error, message, need_weights):
    layer = MultiHeadAttention(30, 5)
    with pytest.raises(error, match=message):
        layer(x, need_weights=need_weights, **options)


def test_rotary_needs_one_sequence_within_its_range():
    layer = MultiHeadAttention(30, 5, rotary=Rotary(6, T))
    with pytest.raises(ValueError, match="rotary positions need one sequence"):
        layer(floats(B, T, 30), floats(B, T, 30))
    with pytest.raises(ValueError, match="positions within 0 … 4, got 0 … 5"):
        layer(floats(B, T + 1, 30))


@pytest.mark.parametrize("kv_heads", [1, 5])
@pytest.mark.parametrize("rotary", [None, Rotary(6, T)])
@pytest.mark.parametrize("first", [1, 3])
def test_with_a_cache_the_last_tokens_find_the_first(kv_heads, rotary, first):
    layer, cache = MultiHeadAttention(30, 5, kv_heads=kv_heads, rotary=rotary), KeyValueCache()
    layer, x = layer.double(), numbers(B, T, 30)
    parts = [layer(part, causal=True, cache=cache) for part in x.split((first, T - first), dim=1)]
    assert_close(torch.cat(parts, dim=1), layer(x, causal=True))
    assert cache.k.shape == cache.v.shape == (B, kv_heads, T, 6)
    with pytest.raises(ValueError, match="a cache needs one sequence"):
        MultiHeadAttention(30, 5).double()(x, x, cache=cache)


def test_a_cache_cut_short_goes_on_as_if_the_rest_had_never_been():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, 3), torch.randn(2, 7, 12)
    cache = KeyValueCache()
    layer(x[:, :4], causal=True, cache=cache)
    layer(torch.randn(2, 2, 12), causal=True, cache=cache)  # to be forgotten
    cache.cut(4)
    rest = layer(x[:, 4:], causal=True, cache=cache)
    torch.testing.assert_close(rest, layer(x, causal=True)[:, 4:])
    with pytest.raises(ValueError, match="length from 0 to 7, got 8"):
        cache.cut(8)
    cache.cut(0)
    assert cache.length == 0


# --- a cache with room


@pytest.mark.parametrize("room", [3, 4, 7, 9])
def test_a_cache_with_room_gives_what_one_without_gives(room):
    layer, x = MultiHeadAttention(30, 5, kv_heads=1).double(), numbers(B, 7, 30)
    caches = KeyValueCache(), KeyValueCache(room)
    with torch.no_grad():
        for part in x.split((2, 1, 1, 3), dim=1):
            plain, roomy = (layer(part, causal=True, cache=cache) for cache in caches)
            assert_close(roomy, plain)
    assert [cache.length for cache in caches] == [7, 7]
    assert caches[0].nbytes == caches[1].nbytes == 2 * B * 7 * 6 * 8
    assert torch.equal(caches[0].k, caches[1].k)


@torch.no_grad()
def test_within_its_room_no_token_moves():
    cache, tokens = KeyValueCache(room=5), numbers(B, 1, 2, 6)
    places = {cache.extend(tokens, tokens)[0].data_ptr() for _ in range(2)}
    cache.cut(1)
    places |= {cache.extend(tokens, tokens)[0].data_ptr() for _ in range(2)}
    assert len(places) == 1
    assert cache.k.untyped_storage().nbytes() == B * 5 * 6 * 8
    with pytest.raises(ValueError, match="room for at least 0 tokens, got -1"):
        KeyValueCache(-1)


def test_who_writes_to_the_places_of_a_cache_extends_it():
    cache, new = KeyValueCache(room=4), numbers(2, 3, 1, 6)
    with pytest.raises(ValueError, match="got 0 tokens and room 4"):
        cache.places()  # nobody has said how many sequences and heads there are
    cache.extend(numbers(2, 3, 3, 6), numbers(2, 3, 3, 6))
    for places in cache.places():
        assert places.shape == (2, 3, 4, 6)
        places[:, :, cache.length] = new[:, :, 0]
    cache.advance()
    assert cache.length == 4
    assert torch.equal(cache.k[:, :, 3:], new)
    assert torch.equal(cache.v[:, :, 3:], new)
    with pytest.raises(ValueError, match="got 4 tokens and room 4"):
        cache.advance()


@torch.no_grad()
def test_one_query_makes_no_mask_as_it_sees_all():
    q, k = numbers(B, 2, 1, 6), numbers(B, 2, T, 6)
    made = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            made.append(operator.overloadpacket._qualified_op_name)
            return operator(*args, **(kwargs or {}))

    with Watch():
        output = fused_attention(q, k, k, causal=True)
    assert not {"aten::tril", "aten::ones"} & set(made)
    assert_close(output, attention(q, k, k, causal=True)[0])
