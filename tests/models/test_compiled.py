"""The GPT with compiled layers beside the one that it copies."""

import itertools

import pytest
import torch
import torch._dynamo
from torch import nn
from torch.fx.experimental.symbolic_shapes import free_symbols
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
    """Compiles to the graphs as they are, and keeps them."""

    def __init__(self):
        self.made = []

    def __call__(self, step):
        def keep(graph, _inputs):
            self.made.append(graph)
            return graph.forward

        return torch.compile(step, fullgraph=True, dynamic=True, backend=keep)

    def nodes(self, name: str) -> list[list[torch.fx.Node]]:
        """Those of each graph that call what is named so."""
        return [
            [n for n in graph.graph.nodes if n.op.startswith("call") and str(n.target) == name]
            for graph in self.made
        ]


@torch._dynamo.config.patch(recompile_limit=2)  # of what shares its code; more would be an error
def test_a_batch_size_compiles_one_graph_for_all_layers_and_lengths_and_one_for_scores(clear_gpt):
    graphs = Graphs()
    for _ in range(2):  # another model of the same sizes has graphs of its own
        ours = CompiledGPT(clear_gpt, graphs)
        for B in (1, 3):
            prompts = torch.arange(4 * B).view(B, 4)
            expected = written(next_logits(clear_gpt), prompts, 19)
            assert torch.equal(written(cached_next_logits(ours), prompts, 19), expected)
    assert len(graphs.made) == 2 * 2 * 2


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


@pytest.fixture
def graphs(clear_gpt) -> Graphs:
    """Of a block and of the scores, for three sequences."""
    graphs, prompts = Graphs(), torch.arange(12).view(3, 4)
    written(cached_next_logits(CompiledGPT(clear_gpt, graphs)), prompts, 2)
    return graphs


def test_the_gelu_and_its_neighbours_are_computed_once_not_for_each_row(graphs):
    """The compiler may not look through `computed`: it stays in the graph that it gets."""
    block, scores = map(len, graphs.nodes("as_strided"))
    assert block == 4 * 2 + 2  # what goes into each product, twice; attention's weights, the sum
    assert scores == 2


def test_what_a_product_reads_for_each_row_lies_side_by_side(graphs):
    block, scores = graphs.nodes("unbind")
    turned = [node.args[0].meta["example_value"] for node in [*block, *scores]]
    turned = [x for x in turned if x.shape[-1] == 3 and x.ndim == 2]  # others take q, k, v apart
    assert [len(x) for x in turned] == [30, 30, 30, 120, 30]
    assert all(x.is_contiguous() for x in turned)


def test_the_compiler_knows_all_sizes_but_the_tokens_and_the_room_for_them(graphs):
    """A size that it does not know costs it a loop as wide as a register."""
    for graph, unknown in zip(graphs.made, (2, 0), strict=True):
        values = [node.meta.get("example_value") for node in graph.graph.nodes]
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        assert len(set().union(*map(free_symbols, tensors))) == unknown


@pytest.mark.usefixtures("compiler")
def test_compiled_it_writes_the_same_tokens(clear_gpt):
    prompts = torch.arange(12).view(3, 4)
    expected = written(next_logits(clear_gpt), prompts, 19)
    assert torch.equal(written(cached_next_logits(CompiledGPT(clear_gpt)), prompts, 19), expected)
