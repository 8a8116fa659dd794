"""Arrays: torch in float64 is the oracle, on shapes and programs that Hypothesis makes up."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigmodel_lib.autodiff import FUNCTIONS, Array, Value
from bigmodel_lib.autodiff.arrays import unbroadcast

F64 = torch.float64
TORCH = {name: getattr(torch, name) for name in FUNCTIONS if name != "softplus"}
TORCH["softplus"] = torch.nn.functional.softplus


def numbers(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def compare(function, *arrays, ours=None):
    """`function` of torch's tensors and `ours` of Arrays: the value and every gradient."""
    nodes = [Array(x) for x in arrays]
    tensors = [torch.tensor(x, dtype=F64, requires_grad=True) for x in arrays]
    mine, its = (ours or function)(*nodes), function(*tensors)
    weights = numbers(its.shape, 7)  # a plain sum would hide what is permuted
    np.testing.assert_allclose(mine.data, its.detach().numpy(), rtol=1e-9, atol=1e-9)
    (mine * weights).sum().backward()
    (its * torch.tensor(weights)).sum().backward()
    for node, tensor in zip(nodes, tensors, strict=True):
        assert node.grad.shape == node.shape
        np.testing.assert_allclose(node.grad, tensor.grad.numpy(), rtol=1e-9, atol=1e-9)


shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)


@given(shapes=shapes, seed=st.integers(0, 99))
def test_arithmetic_with_broadcasting(shapes, seed):
    a, b = (numbers(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    compare(lambda a, b: a * b + a - b / (a * a + 1) + 2 * (-b) + (b**2 + 1) ** 0.5, a, b)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_powers_at_0(n):
    compare(lambda x: x**n, np.array([0.0, 2.0, -1.0]))


@given(shapes=shapes, names=st.lists(st.sampled_from(list(FUNCTIONS)), min_size=1, max_size=4))
def test_functions_and_reuse(shapes, names):
    """u is used by each function, and they by a product: diamonds in a row."""

    def program(function):
        def run(a, b):
            u = total = a * b + a
            for name in names:
                total = total * 0.5 + function(name, u * u + 0.5 if name == "log" else u) * u
            return total

        return run

    a, b = (numbers(shape, i) for i, shape in enumerate(shapes.input_shapes))
    theirs = program(lambda name, x: TORCH[name](x))
    compare(theirs, a, b, ours=program(lambda name, x: x.apply(name)))


@given(shape=hnp.array_shapes(max_dims=3, max_side=4), data=st.data())
def test_sum_and_mean_along_any_axes(shape, data):
    axes = st.sets(st.integers(-len(shape), len(shape) - 1), min_size=1)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | axes.map(tuple))
    if isinstance(axis, tuple) and len({a % len(shape) for a in axis}) < len(axis):
        axis = axis[:1]  # the same axis, named from both ends
    keepdims = data.draw(st.booleans())
    x = numbers(shape, 3)
    for name in ("sum", "mean"):
        compare(
            lambda x, name=name: getattr(x, name)(axis, keepdims) * 1.5,
            x,
        )


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (3, 5)), ((7, 2, 3), (3, 5)), ((2, 3), (7, 3, 5)), ((2, 1, 5, 3), (7, 3, 2))],
)
def test_matmul_with_a_batch_on_either_side(a, b):
    compare(lambda a, b: a @ b, numbers(a, 0), numbers(b, 1))


def test_a_matrix_of_numpy_may_stand_on_the_left():
    x, W = numbers((7, 3), 0), Array(numbers((3, 2), 1))
    (x @ W).sum().backward()
    np.testing.assert_allclose(W.grad, x.T @ np.ones((7, 2)))
    assert isinstance(x[:, :2] + W[:1], Array)


@pytest.mark.parametrize(
    "index",
    [0, slice(1, 3), (slice(None), 1), ([0, 0, 2], [1, 1, 3]), np.array([2, 2, 2, 0]), ..., None],
    ids=str,
)
def test_indexing_adds_up_what_is_taken_twice(index):
    compare(lambda x: x[index] * 2, numbers((3, 5), 0))


def test_reshape_and_transpose():
    x = numbers((2, 3, 5), 0)
    compare(lambda x: x.reshape(5, 6), x)
    compare(lambda x: x.reshape(-1, 3), x)
    compare(lambda x: x.permute(2, 0, 1), x, ours=lambda x: x.transpose(2, 0, 1))
    compare(lambda x: x.T, x[0], ours=lambda x: x.transpose())


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("far", [0, 900, -900])
def test_softmax_and_logsumexp(axis, far):
    x = numbers((3, 5), 0) + far
    compare(lambda x: x.softmax(axis), x)
    compare(lambda x: x.logsumexp(axis), x)
    assert Array(x).logsumexp(axis, keepdims=True).shape == x.sum(axis, keepdims=True).shape


def test_cross_entropy_of_a_network():
    x, labels = numbers((7, 3), 0), np.arange(7) % 2
    W, b, V = numbers((3, 5), 1), numbers(5, 2), numbers((5, 2), 3)

    def ours(W, b, V):
        scores = (x @ W + b).tanh() @ V
        return (scores.logsumexp() - scores[np.arange(7), labels]).mean()

    def theirs(W, b, V):
        scores = (torch.tensor(x) @ W + b).tanh() @ V
        return torch.nn.functional.cross_entropy(scores, torch.tensor(labels))

    compare(theirs, W, b, V, ours=ours)


def test_gradients_add_up_until_they_are_reset():
    x = Array(numbers((2, 3), 0))
    loss = (x * x).sum()
    loss.backward()
    once = x.grad
    loss.backward()
    np.testing.assert_allclose(x.grad, 2 * once)
    x.grad = 0.0
    loss.backward()
    np.testing.assert_allclose(x.grad, once)


# --- errors ---


def test_shapes_that_do_not_fit_are_told():
    a = Array(np.ones((2, 3)))
    for operation in (
        lambda: a + np.ones((4, 3)),
        lambda: a * Array(np.ones(2)),
        lambda: np.ones((4, 3)) - a,
        lambda: a / np.ones((3, 2)),
    ):
        with pytest.raises(ValueError, match=r"need shapes that broadcast, got \("):
            operation()
    for other in (np.ones((2, 3)), np.ones(3)):
        with pytest.raises(ValueError, match=r"need \(…, n, k\) @ \(…, k, m\), got \(2, 3\) and"):
            a @ other


def test_only_a_single_number_has_gradients():
    x = Array(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"need a single number .*, got shape \(2, 3\): sum it"):
        (x * 2).backward()
    (x * 2).sum(keepdims=True).backward()  # (1, 1) is one
    np.testing.assert_allclose(x.grad, 2)


@pytest.mark.parametrize("data", ["abc", [None], [1j], Value(1.0)])
def test_what_is_no_array_of_numbers_is_refused(data):
    with pytest.raises(TypeError, match="need an array of numbers"):
        Array(data)
    with pytest.raises(TypeError, match="need a plain number as exponent"):
        Array([2.0]) ** data


def test_unbroadcast_is_the_adjoint_of_broadcasting():
    """⟨broadcast(x), g⟩ = ⟨x, unbroadcast(g)⟩ for all x and g."""
    for shape in ((), (1,), (3,), (1, 3), (2, 1), (5, 1, 1), (5, 2, 3)):
        x, g = numbers(shape, 0), numbers((5, 2, 3), 1)
        back = unbroadcast(g, shape)
        assert back.shape == shape
        assert (x * back).sum() == pytest.approx((np.broadcast_to(x, g.shape) * g).sum())
