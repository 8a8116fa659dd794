"""The shared space: the loss against cross-entropy, the encoders by what they may not see."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.digit_words import encode_words
from bigmodel_lib.models.contrastive import (
    SharedSpace,
    WordEncoder,
    digit_space,
    info_nce,
    modality_gap,
)


def test_info_nce_is_cross_entropy_both_ways():
    scores = torch.randn(7, 7) * 3
    own = torch.arange(7)
    expected = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
    assert_close(info_nce(scores), expected)


def test_info_nce_of_no_idea_is_log_b():
    assert float(info_nce(torch.full((5, 5), 2.0))) == pytest.approx(math.log(5))


def test_info_nce_needs_pairs():
    with pytest.raises(ValueError, match="need scores"):
        info_nce(torch.zeros(3, 5))


def test_scores_are_cosines_over_the_temperature():
    space = SharedSpace({"a": nn.Identity(), "b": nn.Linear(3, 5)}, temperature=0.2)
    x, y = torch.randn(7, 5), torch.randn(11, 3)
    u, v = space.embed("a", x), space.embed("b", y)
    cosines = F.cosine_similarity(x[:, None], space.encoders["b"](y)[None], dim=2)
    assert_close(space.scores(u, v), cosines / 0.2)
    assert space.temperature == pytest.approx(0.2)


def test_the_temperature_learns_only_if_it_may_and_not_below_the_coldest():
    for learned in (True, False):
        space = SharedSpace({"a": nn.Identity()}, learned=learned)
        assert space.log_scale.requires_grad == learned
    with torch.no_grad():
        space.log_scale.fill_(50.0)
    assert space.temperature == pytest.approx(0.01)
    with pytest.raises(ValueError, match=r"at least 0\.01"):
        SharedSpace({}, temperature=0.001)


def test_words_padding_has_no_gradient_and_order_counts():
    torch.manual_seed(0)
    encoder = WordEncoder(5, E=3, W=7)
    out = encoder(encode_words(["no", "on"]))
    assert not torch.allclose(out[0], out[1])
    out.sum().backward()
    assert not encoder.letters.weight.grad[0].any()


def test_all_three_kinds_arrive_in_the_space():
    space = digit_space(bands=11, D=6).eval()
    inputs = {
        "image": torch.randn(3, 1, 28, 28),
        "word": encode_words(["one", "two", "three"]),
        "sound": torch.randn(3, 64, 11),
    }
    for kind, x in inputs.items():
        u = space.embed(kind, x)
        assert u.shape == (3, 6)
        assert_close(u.norm(dim=1), torch.ones(3))


def test_gap_of_opposite_poles_and_of_the_same():
    u = F.normalize(torch.randn(7, 5), dim=1)
    assert modality_gap(u, u.flip(0)) == pytest.approx(0, abs=1e-6)
    pole = torch.eye(5)[:1]
    assert modality_gap(pole.repeat(3, 1), -pole.repeat(2, 1)) == pytest.approx(2)
