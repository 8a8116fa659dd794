"""The Transformer encoder against PyTorch's layers. Sizes are distinct primes, or nearly."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.encoder import Encoder
from bigmodel_lib.models.positions import sinusoidal

F64 = torch.float64
B, T, I, H, D, L = 3, 7, 5, 2, 22, 2  # noqa: E741


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def encoder():
    network = Encoder(I, D, H, L).double()
    for parameter in network.parameters():  # norms too, which start at 1 and 0
        nn.init.normal_(parameter, std=0.3)
    return network


def pytorch_layer(block) -> nn.TransformerEncoderLayer:
    """PyTorch's layer with the weights of a block."""
    layer = nn.TransformerEncoderLayer(
        D, H, 4 * D, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "mlp.wide.",
        "linear2.": "mlp.out.",
        "norm1.": "norm_attention.",
        "norm2.": "norm_mlp.",
    }
    weights = block.state_dict()
    layer.load_state_dict(
        {f"{t}{end}": weights[f"{o}{end}"] for t, o in names.items() for end in ("weight", "bias")}
    )
    return layer


def test_it_is_pytorch_s_with_gradients(encoder):
    x = torch.randn(B, T, I, dtype=F64, requires_grad=True)
    h = x @ encoder.embed.weight.T + encoder.embed.bias + sinusoidal(T, D).double()
    for block in encoder.blocks:
        h = pytorch_layer(block)(h)
    theirs = nn.functional.layer_norm(h, (D,), encoder.norm.weight, encoder.norm.bias)
    ours = encoder(x)
    assert_close(ours, theirs)
    pull = torch.randn(B, T, D, dtype=F64)
    assert_close(*(torch.autograd.grad((y * pull).sum(), x) for y in (ours, theirs)))


def test_every_position_sees_every_other_of_its_own_sequence(encoder):
    x = torch.randn(B, T, I, dtype=F64, requires_grad=True)
    for t in range(T):
        (gradient,) = torch.autograd.grad(encoder(x)[1, t].square().sum(), x)
        assert (gradient[1] != 0).any(dim=1).all()
        assert (gradient[0] == 0).all(), "another sequence has an influence"


def test_shuffled_rows_give_another_answer_only_through_the_positions(encoder):
    x, order = torch.randn(B, T, I, dtype=F64), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert (encoder(x[:, order]) - encoder(x)[:, order]).abs().max() > 0.01
    encoder.positions.zero_()
    assert_close(encoder(x[:, order]), encoder(x)[:, order])


def test_positions_are_in_no_checkpoint(encoder):
    assert "positions" not in encoder.state_dict()
    assert len(encoder.blocks) == L


def test_it_learns_one_batch_by_heart():
    encoder, head = Encoder(I, D, H, L), nn.Linear(D, 3)
    x, labels = torch.randn(11, T, I), torch.arange(11) % 3
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(head(encoder(x).mean(dim=1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, D, H, L), "need I >= 1 and L >= 1, got I=0, L=2"),
        ((I, D, H, 0), "need I >= 1 and L >= 1, got I=5, L=0"),
        ((I, D + 1, 1, L), "need an even width"),
        ((I, D, 3, L), "need heads that divide the width D=22, got H=3"),
    ],
)
def test_sizes_that_cannot_be(sizes, message):
    with pytest.raises(ValueError, match=message):
        Encoder(*sizes)


@pytest.mark.parametrize("shape", [(B, T), (B, T, I + 1)])
def test_inputs_of_other_shapes_are_refused(encoder, shape):
    with pytest.raises(ValueError, match=r"need x \(B, T, I\) with I=5, got \("):
        encoder(torch.zeros(shape, dtype=F64))


def test_a_sequence_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match=r"need positions within 0 … 10, got 0 … 11"):
        Encoder(I, D, H, L, T=11)(torch.zeros(B, 12, I))
