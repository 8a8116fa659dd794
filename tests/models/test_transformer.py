"""GPT against PyTorch's encoder layer, and against what must hold for any decoder."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.counting import serving_memory
from bigmodel_lib.models.transformer import GPT, PRESETS, STD, Block, GPTConfig

# different primes, so that no two axes can be mistaken for each other; D = H · 7
B, T, H, D = 2, 5, 3, 21
SMALL = GPTConfig(V=11, T=7, L=2, D=D, H=H)


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def some_ids(B=B, T=T, V=SMALL.V):
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


def pytorch_layer(block: Block) -> nn.TransformerEncoderLayer:
    """PyTorch's layer with the weights of a block."""
    layer = nn.TransformerEncoderLayer(
        D, H, 4 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    pairs = [
        (layer.self_attn.in_proj_weight, block.attention.qkv.weight),
        (layer.self_attn.in_proj_bias, block.attention.qkv.bias),
        *zip(layer.self_attn.out_proj.parameters(), block.attention.out.parameters(), strict=True),
        *zip(layer.linear1.parameters(), block.mlp.wide.parameters(), strict=True),
        *zip(layer.linear2.parameters(), block.mlp.out.parameters(), strict=True),
        *zip(layer.norm1.parameters(), block.norm_attention.parameters(), strict=True),
        *zip(layer.norm2.parameters(), block.norm_mlp.parameters(), strict=True),
    ]
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)
    return layer


def test_a_block_equals_pytorch_with_gradients():
    block = Block(D, H).double()
    for parameter in block.parameters():  # norms too, which start at 1 and 0
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)  # True means "may not look" there
    ours, theirs = block(x), pytorch_layer(block)(x, src_mask=later)
    assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs)]
    assert_close(*gradients)


@pytest.mark.parametrize("t", range(T))
def test_nothing_leaks_from_the_future(t):
    model, seen = GPT(SMALL), []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = model(some_ids())
    (gradient,) = torch.autograd.grad(logits[0, t].square().sum(), seen[0])
    assert (gradient[0, t + 1 :] == 0).all(), "a later position has an influence"
    assert (gradient[1] == 0).all(), "another sequence has an influence"
    assert (gradient[0, : t + 1] != 0).any(dim=-1).all(), "an earlier position has none"


def test_order_matters():
    """Without positions, the last token would not know the order of the two before it.

    One layer: a second one could tell, as causal masks let each position see a different number.
    """
    model = GPT(replace(SMALL, L=1))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    a, b = model(torch.tensor([[3, 5, 7], [5, 3, 7]]))[:, -1]
    assert (a - b).abs().max() > 0.01


def test_the_network_equals_pytorchs_layers_between_embedding_and_its_transpose():
    model, ids = GPT(SMALL).double(), some_ids()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = model.tokens.weight[ids] + model.positions.weight[:T]
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    for block in model.blocks:
        x = pytorch_layer(block)(x, src_mask=later)
    x = F.layer_norm(x, (D,), model.norm.weight, model.norm.bias)
    assert_close(model(ids), x @ model.tokens.weight.T)


def test_overfits_one_batch():
    model, ids = GPT(SMALL), some_ids(B=3, T=7)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # the first tokens differ, so the next one is always determined
    assert len(set(ids[:, 0].tolist())) == 3
    assert loss < 0.02


def test_embedding_serves_at_both_ends():
    model, ids = GPT(SMALL), torch.tensor([[2]])
    assert model(ids).shape == (1, 1, SMALL.V)
    assert sum(p.shape == (SMALL.V, D) for p in model.parameters()) == 1
    before = model(ids)
    with torch.no_grad():
        model.tokens.weight[4] *= 2  # not in the input: only its own score can change
    after = model(ids)
    assert_close(after[..., 4], 2 * before[..., 4])
    others = torch.arange(SMALL.V) != 4
    assert_close(after[..., others], before[..., others])
    with torch.no_grad():
        model.tokens.weight[2] += torch.randn(D)  # in the input: all scores change
    assert (model(ids) != after).all()


def test_first_weights_are_those_of_gpt_2():
    L = 8
    model = GPT(GPTConfig(V=300, T=200, L=L, D=96, H=3))
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            assert (p == 0).all(), name
        elif "norm" in name:
            assert (p == 1).all(), name
        else:
            wanted = STD / math.sqrt(2 * L) if name.endswith("out.weight") else 0.02
            assert p.std().item() == pytest.approx(wanted, rel=0.05), name


def test_shorter_input_is_a_beginning():
    model, ids = GPT(SMALL), some_ids(T=7)
    logits = model(ids)
    assert logits.shape == (B, 7, SMALL.V)
    assert_close(model(ids[:, :T]), logits[:, :T])


@pytest.mark.parametrize("size", ["V", "T", "L", "D", "H"])
def test_sizes_below_one(size):
    with pytest.raises(ValueError, match=rf"of at least 1, got .*{size}=0"):
        replace(SMALL, **{size: 0})


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="divide the width D=21, got H=4"):
        replace(SMALL, H=4)
    with pytest.raises(TypeError, match=r"as ints, got .*D=21\.0"):
        replace(SMALL, D=21.0)


def test_the_printed_sizes_of_table_2_1_that_cannot_be_built():
    with pytest.raises(ValueError, match="D=2048, got H=24"):
        replace(PRESETS["GPT-3 1.3B"], H=24)
    with pytest.raises(ValueError, match="D=5140, got H=40"):
        replace(PRESETS["GPT-3 13B"], D=5140)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (torch.zeros(B, 8, dtype=torch.int64), ValueError, r"1 ≤ T ≤ 7; got \(2, 8\)"),
        (torch.zeros(B, 0, dtype=torch.int64), ValueError, r"got \(2, 0\)"),
        (torch.zeros(T, dtype=torch.int64), ValueError, r"ids \(B, T\).*got \(5,\)"),
        (torch.zeros(B, T), TypeError, "int64, got torch.float32"),
    ],
)
def test_inputs_that_do_not_fit(ids, error, message):
    with pytest.raises(error, match=message):
        GPT(SMALL)(ids)


def test_dropout_is_for_training_only():
    model, ids = GPT(SMALL, dropout=0.5), some_ids()
    plain = GPT(SMALL)
    plain.load_state_dict(model.state_dict())
    assert_close(model.eval()(ids), plain(ids))
    a, b = model.train()(ids), model(ids)
    assert (a != b).any()
    dropped = [m for m in model.modules() if isinstance(m, nn.Dropout) and m.p == 0.5]
    assert len(dropped) == 1 + SMALL.L


# --- the cache of keys and values


def spread(config: GPTConfig) -> GPT:
    """A model whose scores lie far enough apart for the highest to be clear."""
    model = GPT(config).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@torch.no_grad()
def greedy(model: GPT, ids: torch.Tensor, steps: int, cached: bool) -> torch.Tensor:
    """The prompts (B, T) and the highest-scored next tokens, by a plain loop."""
    cache = model.empty_cache() if cached else None
    fresh = ids
    for _ in range(steps):
        logits = model(fresh, cache) if cached else model(ids)
        fresh = logits[:, -1:].argmax(dim=-1)
        ids = torch.cat((ids, fresh), dim=1)
    return ids


def test_greedy_decoding_with_and_without_cache_is_the_same_to_the_token():
    config = GPTConfig(V=101, T=37, L=3, D=D, H=H)
    model, prompts = spread(config), some_ids(V=101)
    plain, cached = (greedy(model, prompts, 37 - T, which) for which in (False, True))
    assert torch.equal(plain, cached)
    assert len(set(plain[0].tolist())) > 5, "it says the same again and again: no test"


@pytest.mark.parametrize("parts", [(7,), (1, 6), (2, 1, 4), (1,) * 7])
def test_the_logits_are_the_same_however_the_tokens_come_in(parts):
    model, ids = spread(SMALL), some_ids(T=7)
    cache = model.empty_cache()
    logits = [model(part, cache) for part in ids.split(parts, dim=1)]
    assert_close(torch.cat(logits, dim=1), model(ids))
    assert [kept.length for kept in cache] == [7] * SMALL.L


def test_the_cache_holds_what_the_formula_says():
    model, cache = GPT(SMALL), GPT(SMALL).empty_cache()
    assert [kept.nbytes for kept in cache] == [0, 0]
    for length, part in zip((5, 6), some_ids(T=6).split((5, 1), dim=1), strict=True):
        model(part, cache)
        formula = serving_memory(SMALL, B, length, cache_bytes=4).cache
        assert sum(kept.nbytes for kept in cache) == formula
        # and no more than that is kept alive behind it
        assert sum(x.untyped_storage().nbytes() for c in cache for x in (c.k, c.v)) == formula


def test_a_full_cache_says_so():
    model = GPT(SMALL)
    cache = model.empty_cache()
    model(some_ids(T=5), cache)
    with pytest.raises(ValueError, match=r"T ≤ 2 behind the 5 of the cache; got \(2, 3\)"):
        model(some_ids(T=3), cache)
