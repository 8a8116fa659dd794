"""Training a detector on scenes that are made as they are needed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.data.scenes import make_scenes, stacked
from bigmodel_lib.models.detector import Detector, detection_losses, targets
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw


@dataclass
class DetectorSettings(Schedule):
    """What may change while a detector trains.

    Attributes:
        batch_size: scenes a step.
        box_weight: of the boxes' error, beside the focal loss.
        others: of `Schedule`.
    """

    batch_size: int = 16
    box_weight: float = 1.0

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 1 or not self.box_weight >= 0:
            raise ValueError(f"need batch_size >= 1 and box_weight >= 0, got {self}")


class DetectorRun(Run):
    """Minimises focal loss + box_weight · error of the boxes, by AdamW.

    Each record holds loss, classes and boxes, before the step.

    Args:
        model: the detector.
        digits: of which scenes are made.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(
        self,
        model: Detector,
        digits: LabelledImages,
        *,
        settings: DetectorSettings | None = None,
        **others,
    ):
        self.model, self.digits = model, digits.to("cpu")
        settings = settings or DetectorSettings()
        super().__init__({"model": model}, {"optimizer": adamw(model)}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on scenes that are seen once."""
        seed = int(torch.randint(2**62, ()))
        scenes = make_scenes(self.digits, self.settings.batch_size, seed)
        maps = self.model(stacked(scenes).to(self.device))
        cells, classes = maps.boxes.shape[-1], maps.classes.shape[1]
        wanted = [
            targets(s.boxes.to(self.device), s.labels.to(self.device), cells, classes)
            for s in scenes
        ]
        losses = detection_losses(maps, wanted)
        loss = losses["classes"] + self.settings.box_weight * losses["boxes"]
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        return {"loss": loss, **losses}
