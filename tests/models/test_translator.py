"""The encoder-decoder against PyTorch's layers, and what must hold for any translator."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.positions import sinusoidal
from bigmodel_lib.models.sampling import beam_search
from bigmodel_lib.models.translator import DecoderBlock, Translator, pad_rows, translate

# different primes; D = H · 14, even for the positions
B, S, T, H, D, V, L = 2, 7, 5, 3, 42, 11, 2
LENGTHS = torch.tensor([7, 3])  # the second source has padding behind it
START, END = 1, 2


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def spread() -> Translator:
    model = Translator(V, D, H, L).double().eval()
    for parameter in model.parameters():  # norms too, which start at 1 and 0
        nn.init.normal_(parameter, std=0.3)
    return model


def some_source() -> torch.Tensor:
    ids = torch.randint(1, V, (B, S), generator=torch.Generator().manual_seed(1))
    return ids.masked_fill(torch.arange(S) >= LENGTHS[:, None], 0)


def some_target(length=T) -> torch.Tensor:
    return torch.randint(1, V, (B, length), generator=torch.Generator().manual_seed(2))


def copy(pairs) -> None:
    with torch.no_grad():
        for theirs, ours in pairs:
            for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
                a.copy_(b)


OPTIONS = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}


def pytorch_encoder(block) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(D, H, 4 * D, **OPTIONS).double()
    copy_attention(layer.self_attn, block.attention)
    copy(
        [
            (layer.norm1, block.norm_attention),
            (layer.norm2, block.norm_mlp),
            (layer.linear1, block.mlp.wide),
            (layer.linear2, block.mlp.out),
        ]
    )
    return layer


def pytorch_decoder(block: DecoderBlock) -> nn.TransformerDecoderLayer:
    layer = nn.TransformerDecoderLayer(D, H, 4 * D, **OPTIONS).double()
    copy_attention(layer.self_attn, block.attention)
    copy_attention(layer.multihead_attn, block.cross)
    copy(
        [
            (layer.norm1, block.norm_attention),
            (layer.norm2, block.norm_cross),
            (layer.norm3, block.norm_mlp),
            (layer.linear1, block.mlp.wide),
            (layer.linear2, block.mlp.out),
        ]
    )
    return layer


def copy_attention(theirs: nn.MultiheadAttention, ours) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
    copy([(theirs.out_proj, ours.out)])


def test_the_network_equals_pytorchs_layers():
    model, source, target = spread(), some_source(), some_target()
    table = sinusoidal(S, D).double()
    memory = model.tokens.weight[source] * D**0.5 + table
    padding = source == 0
    for block in model.encoder:
        memory = pytorch_encoder(block)(memory, src_key_padding_mask=padding)
    memory = F.layer_norm(memory, (D,), model.norm_encoder.weight, model.norm_encoder.bias)
    x = model.tokens.weight[target] * D**0.5 + table[:T]
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    for block in model.decoder:
        x = pytorch_decoder(block)(x, memory, tgt_mask=later, memory_key_padding_mask=padding)
    x = F.layer_norm(x, (D,), model.norm_decoder.weight, model.norm_decoder.bias)
    assert_close(model(source, target), x @ model.tokens.weight.T)


@pytest.mark.parametrize("t", range(T))
def test_the_target_sees_no_future_and_the_source_no_padding(t):
    model, seen = spread(), []
    model.tokens.register_forward_hook(lambda _, __, output: seen.append(output))
    logits = model(some_source(), some_target())
    slopes = torch.autograd.grad(logits[:, t].square().sum(), seen)
    source, target = (slope.abs().sum(dim=-1) > 0 for slope in slopes)
    assert torch.equal(source, torch.arange(S) < LENGTHS[:, None])
    assert torch.equal(target, (torch.arange(T) <= t).expand(B, T))


def test_alignments_are_averages_over_the_real_source():
    model = spread()
    _, alignments = model.decode(some_target(), *model.encode(some_source()))
    assert [weights.shape for weights in alignments] == [(B, H, T, S)] * L
    for weights in alignments:
        assert_close(weights.sum(dim=-1), torch.ones(B, H, T).double())
        assert (weights[1, :, :, LENGTHS[1] :] == 0).all()


def test_padding_changes_nothing():
    model, source, target = spread(), some_source(), some_target()
    alone = model(source[1:, : LENGTHS[1]], target[1:])
    assert_close(model(source, target)[1:], alone)


def test_the_next_token_function_reads_the_source_once():
    model, source, target, calls = spread(), some_source(), some_target(), []
    model.encoder[0].register_forward_hook(lambda *_: calls.append(1))
    function = model.next_logits(source)
    assert_close(function(target), model(source, target)[:, -1])
    calls.clear()
    function(target[:, :2])
    assert calls == []
    one = model.next_logits(source[:1])  # for a beam search: one source, many beginnings
    assert_close(one(target), model(source[:1].expand(B, S), target)[:, -1])


def reversed_batch(generator=None, count=32):
    """Sources of 2 to 4 tokens, and the same backwards: what the model shall learn."""
    rows = [torch.randint(3, V, (2 + i % 3,), generator=generator).tolist() for i in range(count)]
    return pad_rows(rows), [row[::-1] for row in rows]


@pytest.fixture(scope="module")
def trained() -> Translator:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Translator(V, 24, 2, 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(300):
        source, answers = reversed_batch(generator)
        target = pad_rows([[START, *answer, END] for answer in answers])
        logits = model(source, target[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def test_it_learns_to_write_backwards(trained):
    source, answers = reversed_batch(torch.Generator().manual_seed(7), 60)
    written = translate(trained, source, torch.full((60,), START), END, 9)
    assert sum(a == b for a, b in zip(written, answers, strict=True)) > 40


def test_beam_search_finds_nothing_less_probable_than_greedy(trained):
    source, _ = reversed_batch(torch.Generator().manual_seed(8), 9)
    for row in source:
        function, start = trained.next_logits(row[None]), torch.tensor([START])
        greedy, wide = (beam_search(function, start, w, 9, end=END)[0] for w in (1, 4))
        written = translate(trained, row[None], start, END, 9)
        assert list(greedy.ids) == [*written[0], END]
        assert wide.log_probability >= greedy.log_probability - 1e-5


def test_steps_end_what_does_not_end_by_itself():
    model = spread()
    written = translate(model, some_source(), torch.full((B,), START), END, 3)
    assert all(len(row) <= 3 for row in written)
    never = translate(model, some_source(), torch.full((B,), START), -1, 3)
    assert [len(row) for row in never] == [3, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Translator(0, D, H, L), "got 0, 2, 0"),
        (lambda: Translator(V, D, H, L, pad=V), "pad in 0 … V - 1; got 11, 2, 11"),
        (lambda: Translator(V, D, 4, L), "divide the width D=42, got H=4"),
        (lambda: pad_rows([[1], []]), r"at least one token, got lengths \[1, 0\]"),
        (lambda: spread().encode(torch.zeros(1, 3, dtype=torch.int64)), "1"),
        (lambda: spread().encode(torch.ones(1, 257, dtype=torch.int64)), "within 0 … 255"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
