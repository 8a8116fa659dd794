"""Sequences that repeat."""

import pytest
import torch

from bigmodel_lib.data.repeats import repeated_sequences, spell

V, T = 11, 17
PERIODS = torch.tensor([2, 3, 5, 7, 11])


def test_each_repeats_after_its_period_and_not_before():
    ids = repeated_sequences(PERIODS, T, V)
    assert ids.shape == (5, T)
    for row, R in zip(ids, PERIODS.tolist(), strict=True):
        assert torch.equal(row[R:], row[:-R])
        assert len(set(row[:R].tolist())) == R


def test_every_letter_comes_first_equally_often():
    ids = repeated_sequences(torch.full((11_000,), 3), T, V, torch.Generator().manual_seed(0))
    counts = ids[:, 0].bincount(minlength=V)
    assert counts.sub(1000).abs().max() < 150  # five standard deviations


def test_one_seed_one_sequence():
    first, second = (
        repeated_sequences(PERIODS, T, V, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, repeated_sequences(PERIODS, T, V))


@pytest.mark.parametrize(
    ("periods", "length"), [([1, 3], T), ([3, V + 1], T), ([[3]], T), ([3], 0)]
)
def test_what_cannot_be_is_refused(periods, length):
    with pytest.raises(ValueError, match=r"need periods \(B,\) in 2 … 11"):
        repeated_sequences(torch.tensor(periods), length, V)


def test_spelled():
    assert spell(torch.tensor([0, 25, 1])) == "azb"
