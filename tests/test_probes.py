"""Probes against scikit-learn, and controls that mean nothing."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from bigmodel_lib.probes import LinearProbe, by_type, control_labels

N, D, C, V = 211, 7, 3, 13


def some_data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(N, D, generator=generator) * torch.arange(1, D + 1)
    labels = (states[:, :C] + torch.randn(N, C, generator=generator)).argmax(1)
    return states, labels


def test_it_answers_as_scikit_learn():
    states, labels = some_data()
    probe = LinearProbe(states, labels, ridge=1e-6)
    scale = StandardScaler().fit(states)
    theirs = RidgeClassifier(alpha=1e-6).fit(scale.transform(states), labels)
    new, truth = some_data(1)
    assert np.array_equal(probe(new), theirs.predict(scale.transform(new)))
    assert probe.accuracy(new, truth) == pytest.approx(theirs.score(scale.transform(new), truth))


def test_a_strong_penalty_leaves_only_the_most_frequent_class():
    states, labels = some_data()
    labels[: 2 * N // 3] = 2
    assert set(LinearProbe(states, labels, ridge=1e9)(states).tolist()) == {2}


def test_a_column_that_never_changes_does_no_harm():
    states, labels = some_data()
    wide = torch.cat((states, torch.full((N, 1), 5.0)), dim=1)
    assert torch.equal(LinearProbe(wide, labels)(wide), LinearProbe(states, labels)(states))


@pytest.mark.parametrize(
    ("states", "labels", "ridge"),
    [
        (torch.ones(N), torch.ones(N), 1.0),
        (torch.ones(N, D), torch.ones(N + 1), 1.0),
        (torch.ones(N, D), torch.ones(N), 0.0),
    ],
)
def test_what_does_not_fit(states, labels, ridge):
    with pytest.raises(ValueError, match=r"need states \(N, D\)"):
        LinearProbe(states, labels.long(), ridge)


def test_one_class_is_no_question():
    with pytest.raises(ValueError, match="two classes"):
        LinearProbe(torch.ones(N, D), torch.ones(N).long())


def test_control_labels_go_with_the_type_and_nothing_else():
    types = torch.randint(V, (N,), generator=torch.Generator().manual_seed(0))
    labels = control_labels(types, V, torch.ones(C))
    table = control_labels(torch.arange(V), V, torch.ones(C))
    assert torch.equal(labels, table[types])
    assert torch.equal(labels[::2], control_labels(types[::2], V, torch.ones(C)))
    assert not torch.equal(table, control_labels(torch.arange(V), V, torch.ones(C), seed=1))


def test_control_labels_have_the_shares_of_the_real_ones():
    labels = control_labels(torch.arange(10_000), 10_000, torch.tensor([5, 0, 15]))
    counts = labels.bincount(minlength=3)
    assert counts[1] == 0
    assert abs(int(counts[0]) - 2500) < 220  # five standard deviations


def test_control_labels_leave_the_global_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    control_labels(torch.arange(V), V, torch.ones(C))
    assert torch.equal(torch.rand(2), expected)


def test_types_out_of_range():
    with pytest.raises(ValueError, match="need types in 0 … 12"):
        control_labels(torch.tensor([0, V]), V, torch.ones(C))


def test_best_guess_by_type():
    types, labels = torch.tensor([0, 0, 0, 2, 2, 2, 2]), torch.tensor([1, 1, 2, 0, 2, 2, 2])
    assert by_type(types, labels, 4).tolist() == [1, 2, 2, 2]
