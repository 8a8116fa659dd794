"""AdversarialLab: how little changes a classifier's answer, and what hardening brings."""

import ipywidgets
import torch
from torch import Tensor, nn

from bigmodel_lib.attacks import RANGE, fgsm, pgd
from bigmodel_lib.cached.robust import RobustCNN
from bigmodel_lib.cached.vision import RecogniserCNN
from bigmodel_lib.language import _
from bigmodel_lib.widgets.adversarial_lab_picture import AdversarialPicture, AdversarialView
from bigmodel_lib.widgets.base import Explorer, described
from bigmodel_lib.widgets.images import images_for

ATTACKS = ("FGSM", "PGD", "noise")
MOST = 0.4  # of the range from background to ink
GRID = 9  # sizes on the curve, 0 the first
SPAN = 2.0  # inputs go from -1 to 1


class AdversarialLab(Explorer):
    """Choose a digit, an attack and its size; see what two networks make of it.

    Args:
        models: by name, classifiers of digits in evaluation mode; the cached ones if not given.
        choice: what the controls say first, such as `attack="FGSM"` or `epsilon=0.2`.

    Raises:
        ValueError: a choice that names no control.
        CheckpointError: no cached model, if none were given.
    """

    def __init__(self, models: dict[str, nn.Module] | None = None, **choice):
        self.models = models or {
            "standard": RecogniserCNN().load()[0],
            "hardened": RobustCNN().load()[0],
        }
        digits = images_for("digit", "digits", "test")
        self._images, self._labels = digits.images, digits.labels
        self.controls = controls = _controls(len(digits), list(self.models))
        for name, value in choice.items():
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self._picture = AdversarialPicture()
        super().__init__(controls, _rows(controls))
        self.say(_("move ε"))

    def compute(self) -> AdversarialView:
        """What the picture shows."""
        place, epsilon = self.controls["digit"].value, self.controls["epsilon"].value
        grid = torch.linspace(0, MOST, GRID)
        sizes = torch.cat([grid, torch.tensor([epsilon])])
        x = self._images[place].expand(len(sizes), 1, 28, 28)
        labels = self._labels[place].expand(len(sizes))
        model = self.models[self.controls["model"].value]
        attacked = self._attack(model, x, labels, sizes * SPAN)
        with torch.no_grad():
            sure = model(attacked).softmax(dim=1)
            clean = model(x[:1]).softmax(dim=1)[0]
            noise = self._attack(model, x, labels, sizes * SPAN, "noise")
            beside = model(noise).softmax(dim=1)
        label = int(labels[0])
        return AdversarialView(
            clean=x[0, 0].numpy(),
            attacked=attacked[-1, 0].numpy(),
            label=label,
            before=clean.numpy(),
            after=sure[-1].numpy(),
            sizes=grid.numpy(),
            curve=sure[:-1, label].numpy(),
            noise=beside[:-1, label].numpy(),
            epsilon=epsilon,
            attack=self.controls["attack"].value,
            model=self.controls["model"].value,
        )

    def _attack(
        self, model: nn.Module, x: Tensor, labels: Tensor, sizes: Tensor, kind: str | None = None
    ) -> Tensor:
        draw = torch.Generator().manual_seed(self.controls["seed"].value)
        kind = kind or self.controls["attack"].value
        if kind == "noise":
            # one pattern, stretched: or the curve would jump from size to size
            pattern = 2 * torch.rand(x.shape[1:], generator=draw) - 1
            return (x + sizes[:, None, None, None] * pattern).clamp(*RANGE)
        if kind == "FGSM":
            return fgsm(model, x, labels, sizes)
        return pgd(model, x, labels, sizes, self.controls["steps"].value, generator=draw)

    def draw(self, data: AdversarialView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _controls(count: int, models: list[str]) -> dict[str, ipywidgets.Widget]:
    ints, floats, choice = ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown
    return {
        "model": described(choice, "network", options=[(_(name), name) for name in models]),
        "attack": described(
            choice, "attack", options=[(_(name), name) for name in ATTACKS], value="PGD"
        ),
        "epsilon": described(
            floats, "ε, share of black to white", value=0.1, min=0.0, max=MOST, step=0.01
        ),
        "steps": described(ints, "steps of PGD", value=10, min=1, max=30, continuous_update=False),
        "digit": described(ints, "held-out digit", value=0, min=0, max=count - 1),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("epsilon", "steps"), ("model", "attack"), ("digit", "seed")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
