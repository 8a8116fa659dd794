"""Small changes to an input that change a classifier's answer.

Shapes: B batch, inputs (B, …). Sizes ε are in the unit of the inputs; an input moves by at most
ε in each of its numbers (the L∞ norm), and stays within the range that inputs have.

Sources: FGSM, Goodfellow et al. 2015, section 4, arXiv:1412.6572; PGD, Madry et al. 2018,
section 2.1, arXiv:1706.06083.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RANGE = (-1.0, 1.0)  # of pictures in this library: background and ink
REACH = 2.5  # PGD's steps together may go so many times ε: enough to cross and to turn back


def fgsm(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    epsilon: float | Tensor,
    start: Tensor | None = None,
) -> Tensor:
    """One step of size ε up the loss: x + ε sign(∇ₓ loss)  -- Goodfellow et al. 2015, section 4.

    Args:
        model: inputs (B, …) → class scores (B, classes), in evaluation mode.
        x: inputs.
        labels: of the true classes (B,).
        epsilon: a number, or one for each input, (B,).
        start: where the gradient is taken, within ε of x; x itself if None.

    Returns:
        Inputs within ε of x and within RANGE.

    Raises:
        ValueError: an epsilon below 0, or shapes that do not fit.
    """
    epsilon = _sizes(x, labels, epsilon)
    here = x if start is None else start
    return _near(x, here + epsilon * _uphill(model, here, labels).sign(), epsilon)


def pgd(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    epsilon: float | Tensor,
    steps: int = 10,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Many small steps up the loss, each brought back to within ε of x, from a random start.

    xₜ₊₁ = Π(xₜ + α sign(∇ₓ loss))  -- Madry et al. 2018, section 2.1, with α = 2.5 ε / steps.

    Args:
        model, x, labels, epsilon: as in `fgsm`.
        steps: at least 1.
        generator: of the random start, on the device of x; None means PyTorch's global one.

    Raises:
        ValueError: no steps, an epsilon below 0, or shapes that do not fit.
    """
    if steps < 1:
        raise ValueError(f"need at least one step, got {steps}")
    epsilon = _sizes(x, labels, epsilon)
    found = random_near(x, epsilon, generator)
    for _ in range(steps):
        step = REACH * epsilon / steps * _uphill(model, found, labels).sign()
        found = _near(x, found + step, epsilon)
    return found


def random_near(
    x: Tensor, epsilon: float | Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Uniform noise within ε, the attack that knows nothing: what an attack must be better than.

    Args:
        x: inputs (B, …).
        epsilon: a number, or numbers that broadcast to x.
        generator: on the device of x; None means PyTorch's global one.
    """
    noise = 2 * torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 1
    return _near(x, x + epsilon * noise, epsilon)


def _near(x: Tensor, moved: Tensor, epsilon) -> Tensor:
    """What is moved too far, brought back to within ε of x, and into the range."""
    return torch.clamp(moved, x - epsilon, x + epsilon).clamp(*RANGE)


def _uphill(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the loss of each input by that input; no parameter gets one."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        loss = F.cross_entropy(model(x), labels, reduction="sum")
        return torch.autograd.grad(loss, x)[0]


def _sizes(x: Tensor, labels: Tensor, epsilon: float | Tensor) -> Tensor:
    """ε as (B, 1, …), to broadcast to x."""
    epsilon = torch.as_tensor(epsilon, dtype=x.dtype, device=x.device)
    if len(labels) != len(x) or epsilon.ndim > 1 or (epsilon.ndim and len(epsilon) != len(x)):
        shapes = f"{tuple(x.shape)}, {tuple(labels.shape)} and {tuple(epsilon.shape)}"
        raise ValueError(f"need x (B, …), labels (B,), epsilon a number or (B,); got {shapes}")
    if (epsilon < 0).any():
        raise ValueError(f"need epsilon of at least 0, got {epsilon.min():g}")
    return epsilon.expand(len(x)).reshape(-1, *[1] * (x.ndim - 1))
