"""The diffusion of small digits: shapes, conditions, seeds, and that it can learn."""

import pytest
import torch

from bigmodel_lib.models.denoiser import DigitDenoiser, digit_diffusion, draw_digits


def test_the_noise_depends_on_time_and_digit():
    torch.manual_seed(0)
    net = DigitDenoiser(T=13, W=24, blocks=2, dropout=0.0)
    x = torch.randn(1, 1, 8, 8).expand(4, 1, 8, 8)
    noise = net(x, torch.tensor([1, 1, 12, 1]), torch.tensor([3, 3, 3, 5]))
    assert noise.shape == x.shape
    assert torch.equal(noise[0], noise[1])
    assert not torch.allclose(noise[0], noise[2])
    assert not torch.allclose(noise[0], noise[3])
    with pytest.raises(ValueError, match=r"need x \(B, 1, 8, 8\)"):
        net(x, torch.tensor([1]), torch.tensor([3]))


def test_one_digit_of_each_of_two_classes_is_learned():
    torch.manual_seed(0)
    model = digit_diffusion(T=20, W=128, blocks=1, dropout=0.0)
    shapes = torch.full((2, 1, 8, 8), -1.0)
    shapes[0, :, :4], shapes[1, :, :, 4:] = 1, 1
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _step in range(600):
        labels = torch.randint(2, (64,))
        loss = model.loss(shapes[labels], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = draw_digits(model.eval(), torch.tensor([0, 1, 0]), steps=10, eta=0.0)
    assert (drawn - shapes[[0, 1, 0]]).abs().mean() < 0.3  # the two shapes differ by 1


def test_the_seed_decides_and_disturbs_nobody():
    model = digit_diffusion(T=5, W=8, blocks=1).eval()
    labels = torch.tensor([1, 2])
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, again, other = (draw_digits(model, labels, 5, 1.0, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
