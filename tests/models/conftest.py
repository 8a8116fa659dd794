"""A GPT whose every word is clear, for tests of what writes the same in another way."""

import pytest
import torch
from torch import nn

from bigmodel_lib.models.transformer import GPT, GPTConfig


@pytest.fixture
def clear_gpt() -> GPT:
    """Scores far enough apart for the highest to be clear, beyond rounding."""
    torch.manual_seed(1)
    model = GPT(GPTConfig(V=101, T=23, L=2, D=30, H=5), dropout=0.5).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.positions.weight.data *= 20  # else each token calls for itself again
    return model
