"""The chunked loss against the loss of all scores at once."""

import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.models.chunked_loss import chunked_cross_entropy
from side_by_side import peak_bytes

F64 = torch.float64


def inputs(N=11, D=5, V=17):
    torch.manual_seed(0)
    x, table = (torch.randn(n, D, dtype=F64, requires_grad=True) for n in (N, V))
    return x, table, torch.randint(V, (N,))


@pytest.mark.parametrize("rows", [1, 4, 11, 100])
def test_loss_and_gradients_are_those_of_all_scores_at_once(rows):
    x, table, targets = inputs()
    loss = chunked_cross_entropy(x, table, targets, rows)
    found = torch.autograd.grad(3 * loss, (x, table))
    plain = F.cross_entropy(x @ table.T, targets)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(found, torch.autograd.grad(3 * plain, (x, table)))


def test_a_second_backward_pass_is_refused():
    loss = chunked_cross_entropy(*inputs(), 4)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="one backward pass"):
        loss.backward()


def test_it_never_holds_all_scores():
    x, table, targets = inputs(N=64, D=2, V=1000)
    loss = peak_bytes(lambda: chunked_cross_entropy(x, table, targets, 8).backward())
    assert loss < 0.3 * 64 * 1000 * 8
    plain = peak_bytes(lambda: F.cross_entropy(x @ table.T, targets).backward())
    assert plain >= 2 * 64 * 1000 * 8


@pytest.mark.parametrize(
    "change",
    [
        lambda x, table, targets, rows: (x, table, targets, 0),
        lambda x, table, targets, rows: (x, table[:, 1:], targets, rows),
        lambda x, table, targets, rows: (x, table, targets[1:], rows),
        lambda x, table, targets, rows: (x[None], table, targets, rows),
    ],
)
def test_what_does_not_fit_is_told(change):
    with pytest.raises(ValueError, match="need x"):
        chunked_cross_entropy(*change(*inputs(), 4))
