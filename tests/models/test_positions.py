"""Positions against the papers' formulas, and what they promise for attention's scores."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.attention import attention
from bigmodel_lib.models.positions import (
    Rotary,
    add_positions,
    alibi_bias,
    alibi_slopes,
    sinusoidal,
)

# primes, all different; d is twice one, since pairs need an even width
B, H, T, N, d = 2, 3, 5, 17, 14


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


# --- sinusoidal and learned


def test_sinusoidal_equals_the_formula_entry_by_entry():
    table = sinusoidal(N, d)
    assert table.shape == (N, d)
    for n in range(N):
        for i in range(d // 2):
            angle = n / 10_000 ** (2 * i / d)
            assert table[n, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[n, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_far_positions_keep_their_digits():
    """Angles near 46,416 are up to 0.002 apart in float32."""
    entry = sinusoidal(1_000_001, 6)[-1, 2].item()
    assert entry == pytest.approx(math.sin(1e6 / 10_000 ** (2 / 6)), abs=1e-6)


@given(st.integers(0, 40), st.integers(0, 40))
def test_products_of_sinusoidal_positions_depend_on_their_distance_only(n, m):
    table = sinusoidal(81, d)
    shift = abs(n - m)
    assert_close(table[n] @ table[m], table[0] @ table[shift], rtol=0, atol=1e-5)


def test_the_base_sets_the_slowest_wave():
    assert sinusoidal(N, 4, base=100.0)[3, 2].item() == pytest.approx(math.sin(3 / 10))


@pytest.mark.parametrize("learned", [False, True])
def test_add_positions(learned):
    table = nn.Embedding(N, d).weight if learned else sinusoidal(N, d)
    x = torch.randn(B, T, d)
    y = add_positions(x, table)
    for t in range(T):
        assert_close(y[:, t], x[:, t] + table[t])
    assert add_positions(x.half(), table).dtype == torch.float16


def test_learned_positions_learn():
    embedding = nn.Embedding(N, d)
    add_positions(torch.randn(B, T, d), embedding.weight).sum().backward()
    assert (embedding.weight.grad[:T] == B).all()
    assert (embedding.weight.grad[T:] == 0).all()


# --- rotary


def rotation(m, d=d, base=10_000.0):
    """R of Su et al. 2021, eq. 15: a block of 2 × 2 for each pair of neighbours."""
    blocks = []
    for i in range(d // 2):
        angle = m * base ** (-2 * i / d)
        c, s = math.cos(angle), math.sin(angle)
        blocks.append(torch.tensor([[c, -s], [s, c]]))
    return torch.block_diag(*blocks)


@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("base", [10_000.0, 100.0])
def test_rotary_equals_the_rotation_matrix(start, base):
    x = torch.randn(B, H, T, d)
    turned = Rotary(d, N, base=base)(x, start)
    for t in range(T):
        assert_close(turned[:, :, t], x[:, :, t] @ rotation(start + t, base=base).T)


def test_rotary_equals_complex_multiplication_with_gradients():
    x = torch.randn(B, H, T, d, dtype=torch.float64, requires_grad=True)
    angles = torch.arange(T)[:, None] * 10_000.0 ** (-torch.arange(0, d, 2) / d)
    turns = torch.polar(torch.ones_like(angles), angles)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turns
    theirs, ours = torch.view_as_real(pairs).flatten(-2), Rotary(d, N)(x)
    weight = torch.randn(B, H, T, d, dtype=torch.float64)
    assert_close(ours, theirs, rtol=0, atol=1e-6)  # the table is float32
    (slope,) = torch.autograd.grad((ours * weight).sum(), x)
    (expected,) = torch.autograd.grad((theirs * weight).sum(), x)
    assert_close(slope, expected, rtol=0, atol=1e-6)


@given(st.integers(0, N - T), st.integers(0, N - T), st.integers(0, 1000))
def test_rotary_scores_depend_on_the_distance_only(start, other, seed):
    g = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(B, H, T, d, generator=g, dtype=torch.float64) for _ in range(2))
    rotary = Rotary(d, N)
    scores = [rotary(q, s) @ rotary(k, s).transpose(-2, -1) for s in (start, other)]
    assert_close(scores[0], scores[1], rtol=0, atol=1e-5)


def test_rotary_scores_do_depend_on_the_distance():
    q, k, rotary = torch.ones(1, d), torch.ones(1, d), Rotary(d, N)
    scores = [(rotary(q, 0) @ rotary(k, m).T).item() for m in range(4)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[3] > 1


def test_rotary_keeps_lengths_and_number_formats():
    x = torch.randn(B, H, T, d)
    assert_close(Rotary(d, N)(x).norm(dim=-1), x.norm(dim=-1))
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert Rotary(d, N)(x.to(dtype)).dtype == dtype


def test_rotary_tables_are_in_no_checkpoint():
    assert Rotary(d, N).state_dict() == {}


# --- ALiBi


def paper_slopes(H):
    """The authors' rule in other words: recursive, by ratios."""
    n = 2 ** math.floor(math.log2(H))
    first = 2 ** (-8 / n)
    slopes = [first ** (h + 1) for h in range(n)]
    return slopes if n == H else slopes + paper_slopes(2 * n)[::2][: H - n]


@pytest.mark.parametrize("H", [*range(1, 34), 48, 112])
def test_slopes_follow_the_authors_code(H):
    assert alibi_slopes(H).tolist() == pytest.approx(paper_slopes(H))
    assert len(set(alibi_slopes(H).tolist())) == H


def test_slopes_of_the_paper():
    """Section 3: 8 heads have 1/2, 1/4 … 1/256; 16 heads 2^-0.5, 2^-1 … 2^-8."""
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]
    assert alibi_slopes(16).tolist() == pytest.approx([2 ** (-h / 2) for h in range(1, 17)])
    assert alibi_slopes(3).tolist() == [2**-4, 2**-8, 2**-2]


def test_bias_equals_the_formula_entry_by_entry():
    S = 7
    bias, slopes = alibi_bias(H, T, S), alibi_slopes(H)
    assert bias.shape == (H, T, S)
    for h in range(H):
        for t in range(T):
            for s in range(S):
                assert bias[h, t, s].item() == pytest.approx(-slopes[h].item() * abs(S - T + t - s))
    assert alibi_bias(H, T).equal(alibi_bias(H, T, T))


def test_bias_prefers_what_is_near():
    """Without any content, weights fall by the factor e^-slope from each key to the one before."""
    q = torch.zeros(B, H, T, d)
    _, weights = attention(q, q, q, causal=True, bias=alibi_bias(H, T))
    ratio = weights[:, :, -1, :-1] / weights[:, :, -1, 1:]
    assert_close(ratio, (-alibi_slopes(H)).exp()[None, :, None].expand_as(ratio))


# --- bad input: each its own clear error


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: sinusoidal(N, 7), ValueError, "even width.*got 7"),
        (lambda: sinusoidal(N, 0), ValueError, "even width.*got 0"),
        (lambda: sinusoidal(0, d), ValueError, "at least one position, got N=0"),
        (lambda: Rotary(7, N), ValueError, "even width.*got 7"),
        (lambda: Rotary(d, 0), ValueError, "at least one position, got N=0"),
        (lambda: Rotary(d, N)(torch.ones(T, 12)), ValueError, r"d=14, got \(5, 12\)"),
        (lambda: Rotary(d, N)(torch.ones(d)), ValueError, r"d=14, got \(14,\)"),
        (lambda: Rotary(d, N)(torch.ones(18, d)), ValueError, "within 0 … 16, got 0 … 17"),
        (lambda: Rotary(d, N)(torch.ones(T, d), 13), ValueError, "within 0 … 16, got 13 … 17"),
        (lambda: Rotary(d, N)(torch.ones(T, d), -1), ValueError, "within 0 … 16, got -1 … 3"),
        (lambda: Rotary(d, N)(torch.ones(T, d).long()), TypeError, "floats, got torch.int64"),
        (
            lambda: add_positions(torch.ones(B, 18, d), sinusoidal(N, d)),
            ValueError,
            "within 0 … 16, got 0 … 17",
        ),
        (
            lambda: add_positions(torch.ones(B, T, 12), sinusoidal(N, d)),
            ValueError,
            r"got \(2, 5, 12\) and \(17, 14\)",
        ),
        (
            lambda: add_positions(torch.ones(T, d), sinusoidal(N, d)),
            ValueError,
            r"x \(B, T, D\).*got \(5, 14\)",
        ),
        (
            lambda: add_positions(torch.ones(B, T, d).long(), sinusoidal(N, d)),
            TypeError,
            "embedded tokens of floats, got torch.int64",
        ),
        (lambda: alibi_slopes(0), ValueError, "at least one head, got H=0"),
        (lambda: alibi_bias(H, 0), ValueError, "got T=0, S=0"),
        (lambda: alibi_bias(H, 5, 3), ValueError, "last T of S; got T=5, S=3"),
    ],
)
def test_what_cannot_be_is_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_the_last_position_in_range_is_allowed():
    assert Rotary(d, N)(torch.ones(T, d), N - T).shape == (T, d)
    assert add_positions(torch.ones(B, N, d), sinusoidal(N, d)).shape == (B, N, d)
