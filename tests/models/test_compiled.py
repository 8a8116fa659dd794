"""The GPT with compiled layers beside the one that it copies."""

import itertools

import pytest
import torch
import torch._dynamo
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models import compiled
from bigmodel_lib.models.compiled import CompiledGPT, in_blocks, product
from bigmodel_lib.models.packed import can_pack
from bigmodel_lib.models.sampling import cached_next_logits, generate, next_logits

pytestmark = pytest.mark.skipif(not can_pack(torch.zeros(1)), reason="PyTorch without oneDNN")


def as_it_is(step):
    return step


def written(function, prompts: torch.Tensor, steps: int) -> torch.Tensor:
    return torch.stack(list(itertools.islice(generate(function, prompts), steps)), dim=1)


@pytest.mark.parametrize("R", [4, 8, 16])
@pytest.mark.parametrize("M", [16, 29])
@pytest.mark.parametrize("B", [1, 3])
def test_blocks_multiply_as_the_matrix_does(R, M, B, monkeypatch):
    monkeypatch.setattr(compiled, "register_width", lambda: R)
    linear, x = nn.Linear(19, M), torch.randn(B, 19)
    blocks = in_blocks(linear.weight)
    assert blocks.shape == (-(-M // R), 19, R)
    with torch.no_grad():
        assert_close(product(x, blocks, linear.bias), linear(x))


@pytest.mark.parametrize("B", [1, 2, 9])
@torch.no_grad()
def test_it_scores_as_the_model_does_token_by_token(clear_gpt, B):
    ours, ids = CompiledGPT(clear_gpt, as_it_is), torch.randint(101, (B, 23))
    cache = ours.empty_cache(room=23)
    parts = [ours(part, cache) for part in ids.split((5, *[1] * 18), dim=1)]
    assert_close(torch.cat(parts, dim=1), clear_gpt(ids), rtol=1e-4, atol=1e-4)
    assert [kept.length for kept in cache] == [23] * 2


def test_it_writes_the_same_tokens_beyond_its_window_too(clear_gpt):
    prompts = torch.tensor([[3], [11]])  # one token: the compiled way begins at the third
    expected = written(next_logits(clear_gpt), prompts, 30)
    ours = written(cached_next_logits(CompiledGPT(clear_gpt, as_it_is)), prompts, 30)
    assert torch.equal(ours, expected)
    assert len(set(expected.flatten().tolist())) > 5, "it says the same again and again: no test"


class Graphs:
    """Compiles to the graph as it is, and counts."""

    def __init__(self):
        self.count = 0

    def __call__(self, step):
        def keep(graph, _inputs):
            self.count += 1
            return graph.forward

        return torch.compile(step, fullgraph=True, dynamic=True, backend=keep)


@torch._dynamo.config.patch(recompile_limit=2)  # of what shares its code; more would be an error
def test_a_batch_size_compiles_one_graph_for_all_layers_and_lengths_and_one_for_scores(clear_gpt):
    graphs = Graphs()
    for _ in range(2):  # another model of the same sizes has graphs of its own
        ours = CompiledGPT(clear_gpt, graphs)
        for B in (1, 3):
            prompts = torch.arange(4 * B).view(B, 4)
            expected = written(next_logits(clear_gpt), prompts, 19)
            assert torch.equal(written(cached_next_logits(ours), prompts, 19), expected)
    assert graphs.count == 2 * 2 * 2


def test_a_token_calls_what_is_compiled_once_a_layer(clear_gpt):
    calls = []

    def counting(step):
        def call(*inputs):
            calls.append(step.__name__)
            return step(*inputs)

        return call

    tokens = generate(cached_next_logits(CompiledGPT(clear_gpt, counting)), torch.arange(5)[None])
    next(tokens)
    assert calls == []
    next(tokens)
    assert calls == ["write_block"] * 2 + ["write_scores"]


@torch.no_grad()
def test_without_room_or_without_a_cache_it_goes_the_packed_way(clear_gpt):
    def never(step):
        raise AssertionError("compiled without need")

    ours, ids = CompiledGPT(clear_gpt, never), torch.randint(101, (2, 6))
    assert_close(ours(ids), clear_gpt(ids), rtol=1e-4, atol=1e-4)
    cache = ours.empty_cache()  # grows as it goes
    parts = [ours(part, cache) for part in ids.split((3, 1, 1, 1), dim=1)]
    assert_close(torch.cat(parts, dim=1), clear_gpt(ids), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_batch_that_is_not_that_of_the_cache_is_refused(clear_gpt):
    ours = CompiledGPT(clear_gpt, as_it_is)
    cache = ours.empty_cache(room=9)
    ours(torch.zeros(2, 3, dtype=torch.int64), cache)
    with pytest.raises((ValueError, RuntimeError), match=r"size|shape"):
        ours(torch.zeros(3, 1, dtype=torch.int64), cache)


@torch.no_grad()
def test_what_the_model_learns_later_is_not_in_it(clear_gpt):
    ours, ids = CompiledGPT(clear_gpt, as_it_is), torch.randint(101, (2, 7))

    def scores():
        cache = ours.empty_cache(room=7)
        return [ours(part, cache) for part in ids.split((6, 1), dim=1)]

    before = scores()
    for parameter in clear_gpt.parameters():
        parameter.add_(1.0)
    assert all(torch.equal(*pair) for pair in zip(before, scores(), strict=True))


def test_the_gelu_and_its_neighbours_are_computed_once_not_for_each_row(clear_gpt):
    """The compiler may not look through `computed`: it stays in the graph that it gets."""
    kept = []

    def keep(graph, _inputs):
        kept.append([node.target for node in graph.graph.nodes])
        return graph.forward

    def compile(step):
        return torch.compile(step, fullgraph=True, dynamic=True, backend=keep)

    written(cached_next_logits(CompiledGPT(clear_gpt, compile)), torch.arange(4)[None], 2)
    block, scores = ([str(target) for target in targets].count("as_strided") for targets in kept)
    assert block == 4 * 2 + 2  # what goes into each product, twice; attention's weights, the sum
    assert scores == 2
