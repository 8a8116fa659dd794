"""The GPT with packed matrices beside the one that it copies."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.packed import PackedGPT, PackedLinear, can_pack
from bigmodel_lib.models.sampling import cached_next_logits, generate, next_logits

pytestmark = pytest.mark.skipif(not can_pack(torch.zeros(1)), reason="PyTorch without oneDNN")


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 17)])
@pytest.mark.parametrize("gelu", [False, True])
def test_a_packed_matrix_multiplies_as_the_plain_one(shape, has_bias, gelu):
    linear = nn.Linear(19, 29, bias=has_bias)
    x = torch.randn(*shape, 19)
    with torch.no_grad():
        packed = PackedLinear(linear.weight, linear.bias, gelu=gelu)(x)
        assert_close(packed, F.gelu(linear(x)) if gelu else linear(x))


@torch.no_grad()
def test_it_scores_as_the_model_does_however_the_tokens_come_in(clear_gpt):
    packed, ids = PackedGPT(clear_gpt), torch.randint(101, (2, 13))
    expected = clear_gpt(ids)
    assert_close(packed(ids), expected, rtol=1e-4, atol=1e-4)
    cache = packed.empty_cache(room=13)
    parts = [packed(part, cache) for part in ids.split((7, 1, 5), dim=1)]
    assert_close(torch.cat(parts, dim=1), expected, rtol=1e-4, atol=1e-4)


def test_it_writes_the_same_tokens_beyond_its_window_too(clear_gpt):
    prompts = torch.tensor([[3, 5, 7], [11, 2, 90]])
    texts = [
        torch.stack(list(itertools.islice(generate(logits, prompts), 30)))
        for logits in (next_logits(clear_gpt), cached_next_logits(PackedGPT(clear_gpt)))
    ]
    assert torch.equal(*texts)
    assert len(set(texts[0].flatten().tolist())) > 5, "it says the same again and again: no test"


@torch.no_grad()
def test_what_the_model_learns_later_is_not_in_it(clear_gpt):
    packed, ids = PackedGPT(clear_gpt), torch.randint(101, (2, 7))
    before = packed(ids)
    for parameter in clear_gpt.parameters():
        parameter.add_(1.0)
    assert torch.equal(packed(ids), before)


def test_it_says_what_cannot_be_packed(clear_gpt):
    with pytest.raises(ValueError, match=r"float32 on a CPU and oneDNN; got torch\.float64"):
        PackedGPT(clear_gpt.double())
