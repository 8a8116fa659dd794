"""The models of section 6.2: a detector of digits in scenes."""

from torch import nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.data.scenes import stacked, test_scenes
from bigmodel_lib.detection import average_precision
from bigmodel_lib.models.detector import Detector, detect
from bigmodel_lib.training.detector import DetectorRun, DetectorSettings


class DigitDetector(Recipe):
    """An anchor-free detector on scenes of one to six digits of the training split."""

    name = "digit_detector"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"width": 48, "dilations": [1, 2, 4]},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.05,
            "warmup": 100,
            "schedule": 2500,
            "batch_size": 16,
            "box_weight": 1.0,
        },
    }

    def data(self) -> bytes:
        """All digits."""
        return load_digits("digits").images.numpy().tobytes()

    def make(self, vocabulary: None) -> Detector:
        """The model before training."""
        return Detector(**self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> DetectorRun:
        """The training run, to be taken to the end of its schedule."""
        settings = DetectorSettings(**self.settings["training"])
        digits = load_digits("digits", "train")
        seed = self.settings["seed"]
        return DetectorRun(model, digits, settings=settings, seed=seed, keep_every=1000)

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Average precision on scenes of held-out digits."""
        scenes = test_scenes()
        report = average_precision(scenes, detect(model, stacked(scenes)))
        return {"AP at 0.5": report.ap50, "AP at 0.5:0.95": report.ap}
