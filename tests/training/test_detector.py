"""Training a detector: it learns, and the seed decides."""

import pytest
import torch

from bigmodel_lib.models.detector import Detector
from bigmodel_lib.training.detector import DetectorRun, DetectorSettings
from tests.trained import digits


def make_run(seed: int = 0, **settings) -> DetectorRun:
    torch.manual_seed(0)
    settings = DetectorSettings(lr=3e-3, **settings)
    model = Detector(width=16, dilations=(1, 2))
    return DetectorRun(model, digits("train"), settings=settings, seed=seed)


def test_the_loss_falls():
    run = make_run(batch_size=4)
    list(run.take(40))
    loss = run.history["loss"]
    assert loss[-8:].mean() < 0.6 * loss[:3].mean()


def test_the_seed_decides():
    first, again, other = (
        [record["loss"] for record in make_run(seed, batch_size=2).take(2)] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"box_weight": -1.0}])
def test_what_cannot_be(settings):
    with pytest.raises(ValueError, match="batch_size >= 1 and box_weight >= 0"):
        make_run(**settings)
