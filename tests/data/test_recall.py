"""Recall sequences: the answer is where the mark says, and nowhere else."""

import pytest
import torch

from bigmodel_lib.data.recall import recall_sequences

T, V = 7, 5


def drawn(distances, seed=0):
    return recall_sequences(distances, T, V, torch.Generator().manual_seed(seed))


def test_the_answer_is_the_marked_symbol():
    distances = torch.arange(T).repeat(3)
    x, labels = drawn(distances)
    assert x.shape == (21, T, V + 1)
    for sequence, distance, label in zip(x, distances.tolist(), labels.tolist(), strict=True):
        assert (sequence[:, :V].sum(dim=1) == 1).all()
        assert sequence[:, V].nonzero().tolist() == [[T - 1 - distance]]
        assert sequence[T - 1 - distance, :V].argmax() == label


def test_symbols_are_even_and_the_others_say_nothing_of_the_answer():
    x, labels = drawn(torch.full((20_000,), 3))
    shares = torch.bincount(labels, minlength=V) / len(labels)
    assert (shares - 1 / V).abs().max() < 0.015
    symbols = x[..., :V].argmax(dim=2)
    agree = (symbols == labels[:, None]).double().mean(dim=0)
    assert agree[T - 1 - 3] == 1
    others = torch.arange(T) != T - 1 - 3
    assert (agree[others] - 1 / V).abs().max() < 0.015


def test_the_generator_decides():
    distances = torch.tensor([2, 6, 0])
    first, again, other = drawn(distances), drawn(distances), drawn(distances, seed=1)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    ("distances", "V", "message"),
    [
        (
            torch.tensor([0, T]),
            V,
            r"need distances \(B,\) in 0 … 6 and V >= 2, got \(2,\) \[0, 7\]",
        ),
        (torch.tensor([-1]), V, r"got \(1,\) \[-1\] and V=5"),
        (torch.tensor([[1]]), V, r"got \(1, 1\)"),
        (torch.tensor([1]), 1, "and V=1"),
    ],
)
def test_what_cannot_be(distances, V, message):
    with pytest.raises(ValueError, match=message):
        recall_sequences(distances, T, V)
