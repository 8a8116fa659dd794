"""Recurrent networks against torch's own layers. Sizes are distinct primes."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.rnn import GRU, LSTM, RNN, Recurrent

F64 = torch.float64
B, T, I, F = 3, 7, 5, 11  # noqa: E741
PAIRS = {"RNN": (RNN, nn.RNN), "LSTM": (LSTM, nn.LSTM), "GRU": (GRU, nn.GRU)}
every_kind = pytest.mark.parametrize("kind", PAIRS)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def make_pair(kind):
    """Ours and torch's, with the same weights, in float64."""
    ours, theirs = PAIRS[kind][0](I, F).double(), PAIRS[kind][1](I, F, batch_first=True).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def some_state(kind):
    h, c = torch.randn(2, B, F, dtype=F64)
    return (h, c) if kind == "LSTM" else h


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def with_layer_axis(state):
    """Torch has an axis of layers in front."""
    return tuple(s[None] for s in state) if isinstance(state, tuple) else state[None]


def assert_agree(ours, theirs):
    """Outputs and last states of both."""
    assert_close(ours[0], theirs[0])
    assert_close(parts(ours[1]), tuple(part[0] for part in parts(theirs[1])))


@every_kind
def test_from_a_state_of_zeros_it_is_torch_s(kind):
    ours, theirs = make_pair(kind)
    x = torch.randn(B, T, I, dtype=F64)
    assert_agree(ours(x), theirs(x))
    assert ours(x)[0].shape == (B, T, F)


@every_kind
def test_from_a_given_state_it_is_torch_s(kind):
    ours, theirs = make_pair(kind)
    x, state = torch.randn(B, T, I, dtype=F64), some_state(kind)
    assert_agree(ours(x, state), theirs(x, with_layer_axis(state)))


@every_kind
def test_gradients_are_torch_s(kind):
    """Of the weights, the inputs and the first state; the loss reads outputs and last state."""
    networks, gradients = make_pair(kind), []
    x, state = torch.randn(B, T, I, dtype=F64), some_state(kind)
    pull, last_pull = torch.randn(B, T, F, dtype=F64), torch.randn(B, F, dtype=F64)
    for network, wrap in zip(networks, (lambda s: s, with_layer_axis), strict=True):
        inputs = [t.clone().requires_grad_() for t in (x, *parts(state))]
        first = tuple(inputs[1:]) if kind == "LSTM" else inputs[1]
        outputs, last = network(inputs[0], wrap(first))
        loss = (outputs * pull).sum() + sum((part * last_pull).sum() for part in parts(last))
        names, weights = zip(*sorted(network.named_parameters()), strict=True)
        assert names == ("bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0")
        gradients.append(torch.autograd.grad(loss, [*weights, *inputs]))
    assert_close(*gradients)


@every_kind
def test_torch_s_layer_loads_our_weights(kind):
    ours, theirs = PAIRS[kind][0](I, F), PAIRS[kind][1](I, F, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(B, T, I)
    assert_agree(ours(x), theirs(x))


@every_kind
def test_first_weights_are_drawn_as_torch_draws_them(kind):
    ours, theirs = PAIRS[kind][0](I, 53), PAIRS[kind][1](I, 53)
    for name, weight in theirs.named_parameters():
        assert_close(ours.get_parameter(name).std(), weight.std(), rtol=0.2, atol=0)
        assert ours.get_parameter(name).abs().max() <= 53**-0.5


@every_kind
def test_the_last_state_carries_on(kind):
    """Two halves with the state handed over are one whole."""
    ours, _ = make_pair(kind)
    x = torch.randn(B, T, I, dtype=F64)
    whole, last = ours(x)
    first_half, state = ours(x[:, :3])
    second_half, state = ours(x[:, 3:], state)
    assert_close(torch.cat([first_half, second_half], dim=1), whole)
    assert_close(parts(state), parts(last))


@every_kind
def test_nothing_leaks_from_the_future_or_a_neighbour(kind):
    ours, _ = make_pair(kind)
    x = torch.randn(B, T, I, dtype=F64)
    changed = x.clone()
    changed[1, 4] += 1
    moved = (ours(x)[0] != ours(changed)[0]).any(dim=2)
    expected = torch.zeros(B, T, dtype=torch.bool)
    expected[1, 4:] = True
    assert torch.equal(moved, expected)


def test_with_its_forget_gate_open_an_lstm_keeps_its_cell_for_long():
    """f = 1, i = 0: the cell is the same after 101 steps, and so is its gradient."""
    lstm = LSTM(I, F).double()
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.zero_()
        lstm.bias_ih_l0.copy_(torch.tensor([-1e3, 1e3, 0.0, 0.0]).repeat_interleave(F))
    h, c = some_state("LSTM")
    c.requires_grad_()
    _, (_, last) = lstm(torch.randn(B, 101, I, dtype=F64), (h, c))
    assert_close(last, c)
    assert_close(torch.autograd.grad(last.sum(), c)[0], torch.ones_like(c))


def test_the_reset_gate_comes_after_the_product():
    """What sets PyTorch's GRU apart from the paper's, which has U (r ⊙ h)."""
    gru = GRU(I, F).double()
    with torch.no_grad():
        gru.weight_ih_l0.zero_()
        gru.bias_ih_l0.zero_()
        gru.bias_hh_l0.zero_()
    h = some_state("GRU")
    U_r, U_z, U_n = gru.weight_hh_l0.chunk(3)
    r, z = (h @ U_r.T).sigmoid(), (h @ U_z.T).sigmoid()
    after, before = ((1 - z) * n.tanh() + z * h for n in (r * (h @ U_n.T), (r * h) @ U_n.T))
    _, last = gru(torch.zeros(B, 1, I, dtype=F64), h)
    assert_close(last, after)
    assert (last - before).abs().max() > 1e-3


@every_kind
def test_it_trains_as_torch_s_does_and_learns_the_first_input(kind):
    """Five steps against a plain loop with torch's layer; then the loss has to fall."""
    ours, theirs = make_pair(kind)
    x = torch.randn(13, T, I, dtype=F64)
    target = x[:, 0, 0].tanh()  # what came first has to be kept to the end
    head = nn.Linear(F, 1).double()
    heads = head, copy.deepcopy(head)
    losses = [], []
    for network, readout, found in zip((ours, theirs), heads, losses, strict=True):
        optimizer = torch.optim.Adam([*network.parameters(), *readout.parameters()], 1e-2)
        for _ in range(40):
            loss = (readout(network(x)[0][:, -1]).squeeze(1) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    assert losses[0][:5] == pytest.approx(losses[1][:5], rel=1e-9)
    assert losses[0][-1] < 0.3 * losses[0][0]


# --- errors ---


@every_kind
@pytest.mark.parametrize("shape", [(B, I), (B, T, I + 1), (B, 0, I), (2, B, T, I)])
def test_inputs_of_other_shapes_are_refused(kind, shape):
    with pytest.raises(ValueError, match=r"need x \(B, T, I\) with T >= 1, I=5; got \(") as caught:
        PAIRS[kind][0](I, F)(torch.zeros(shape))
    assert str(caught.value).endswith(str(shape))


@every_kind
@pytest.mark.parametrize("shape", [(1, F), (B, F + 1), (1, B, F)])
def test_states_of_other_shapes_are_refused(kind, shape):
    state = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"need a state .*\(B, F\) = \(3, 11\); got \["):
        PAIRS[kind][0](I, F)(torch.zeros(B, T, I), (state, state) if kind == "LSTM" else state)


def test_a_state_with_too_few_or_too_many_parts_is_refused():
    x, h = torch.zeros(B, T, I), torch.zeros(B, F)
    with pytest.raises(ValueError, match=r"need a state \(h, c\), each"):
        LSTM(I, F)(x, h)
    for network in (RNN(I, F), GRU(I, F)):
        with pytest.raises(ValueError, match=r"need a state h \(B, F\)"):
            network(x, (h, h))


@every_kind
def test_widths_below_1_are_refused(kind):
    for widths in ((0, F), (I, 0)):
        with pytest.raises(ValueError, match="need widths I >= 1 and F >= 1, got I="):
            PAIRS[kind][0](*widths)


def test_the_base_alone_has_no_step():
    with pytest.raises(TypeError, match=r"Recurrent must define step\(\)"):
        Recurrent(I, F)(torch.zeros(B, T, I))
