"""The classifier of section 8.3 that has seen attacks while it learned."""

import torch
from torch import Tensor, nn

from bigmodel_lib.attacks import fgsm, pgd, random_near
from bigmodel_lib.cached.vision import RecogniserCNN, shifted_digits
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun


class RobustCNN(RecogniserCNN):
    """The convolutional network of section 6.2, trained on attacked digits only.

    Each batch is moved by FGSM from a random start -- Wong et al. 2020, "Fast is better than
    free", arXiv:2001.03994 --, a cheap stand-in for the inner maximum of Madry et al. 2018,
    eq. 2.1.
    """

    name = "robust_cnn"
    settings = RecogniserCNN.settings | {"epsilon": 0.3, "growing": 400, "steps": 1000}

    def run(self, model: nn.Module, vocabulary: None) -> StreamRun:
        """The training run."""
        growing = self.settings["growing"]

        def attacked(count: int) -> tuple[Tensor, Tensor]:
            # attacks grow: against full ones, a network that knows nothing learns nothing
            epsilon = self.settings["epsilon"] * min(1.0, run.step / growing)
            images, labels = shifted_digits(count)
            model.eval()  # or the attack's passes would move the batch norm's averages
            images = fgsm(model, images, labels, epsilon, random_near(images, epsilon))
            model.train()
            return images, labels

        settings = ClassifierSettings(weight_decay=0.05, batch_size=self.settings["batch_size"])
        seed = self.settings["seed"]
        run = StreamRun(model, attacked, settings=settings, seed=seed, keep_every=1000)
        return run

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """The share of held-out digits that it reads right, as they are and attacked by PGD."""
        test, draw = load_digits("digits", "test"), torch.Generator().manual_seed(0)
        epsilon = self.settings["epsilon"]
        attacked = pgd(model, test.images, test.labels, epsilon, 20, generator=draw)
        right = (model(attacked).argmax(1) == test.labels).double().mean()
        return super().measure(model, vocabulary) | {"accuracy, attacked": float(right)}
