"""ScalingLab: how large models have become, and how large they should be."""

import functools

import ipywidgets
import numpy as np

from bigmodel_lib.data.landmarks import FAMILIES, Landmark, load_landmarks
from bigmodel_lib.growth import Growth, fit_growth
from bigmodel_lib.language import _
from bigmodel_lib.scaling import FLOPS_PER_PARAMETER, LAWS, Law
from bigmodel_lib.widgets.base import Explorer, RefusedError, described, powers
from bigmodel_lib.widgets.scaling_lab_picture import (
    D_RANGE,
    N_RANGE,
    LawsView,
    ModelView,
    ScalingLabPicture,
    TimelineView,
)

TIMELINE, LAWS_VIEW = "timeline", "laws"
ALL, EXTREMES = "all families", "the extremes"
LEARNED, USED = "all that it learns", "those that work on a token"
LANGUAGE = ("Transformer decoder", "mixture of experts")  # what the laws are about
CHINCHILLA = 5.76e23  # FLOPs: Hoffmann et al. 2022, table 3
GRID = 81  # points of each axis of the loss surface
GROUPS = {TIMELINE: ("family", "years", "count"), LAWS_VIEW: ("law", "budget")}
FIRST, LAST = load_landmarks()[0].year, load_landmarks()[-1].year


class ScalingLab(Explorer):
    """Two views of the table of landmark models.

    *timeline*: parameters by year, with the doubling time of the models that are shown and its
    uncertainty. *laws*: the best split of a compute budget by a published law, its loss surface,
    and the language models of the table: how many times the tokens that the law finds best for
    their size they were trained on.

    Args:
        recipe: what the controls say first, such as `view="laws"`, `budget=1e24` or
            `named="GPT-3"`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
    """

    def __init__(self, **recipe):
        controls = _controls(recipe.get("budget", CHINCHILLA))
        for name, value in recipe.items():
            if name not in controls:
                raise ValueError(f"need settings in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self._boxes = _boxes(controls)
        self._choose("years")
        self._picture = ScalingLabPicture(FAMILIES)
        self._show_box()
        super().__init__(controls, [_row(controls, "view", "named"), *self._boxes.values()])

    def _value(self, name: str):
        return self.controls[name].value

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        if name in GROUPS[TIMELINE]:
            self._choose(name)
            self.accept(*GROUPS[TIMELINE])  # they were checked together
        elif name == "view":
            self._show_box()

    def _show_box(self) -> None:
        for view, box in self._boxes.items():
            box.layout.display = None if view == self._value("view") else "none"

    def _choose(self, moved: str) -> None:
        """Take over which models the timeline shows, and which parameters count."""
        family, (first, last), count = (self._value(name) for name in GROUPS[TIMELINE])
        sizes = {
            model: model.parameters if count == LEARNED else model.used
            for model in load_landmarks()
            if first <= model.year <= last and family in (ALL, model.family)
        }
        known = {model: size for model, size in sizes.items() if size is not None}
        if not known:
            reason = _("no model of this family from {first} to {last} has such a count")
            raise RefusedError(moved, reason.format(first=first, last=last))
        self._shown, self._family, self._count = known, family, count

    # --- what the picture shows ---

    def compute(self) -> TimelineView | LawsView:
        """The view that is chosen, as plain data."""
        return self._timeline() if self._value("view") == TIMELINE else self._laws()

    def _timeline(self) -> TimelineView:
        models = tuple(self._shown)
        years = np.array([model.year for model in models])
        sizes = np.array(list(self._shown.values()), float)
        growth = _growth(years, sizes)
        return TimelineView(
            years=years,
            sizes=sizes,
            families=tuple(model.family for model in models),
            growth=growth,
            names=self._names(models, years, sizes, growth),
            title=_(self._family),
            count=_(self._count),
        )

    def _names(self, models, years, sizes, growth: Growth | None) -> dict[int, str]:
        """Which models carry their names, by index: a chosen one, or the extremes."""
        if self._value("named") != EXTREMES:
            return {i: m.name for i, m in enumerate(models) if m.name == self._value("named")}
        extremes = {int(sizes.argmin()), int(sizes.argmax())}
        if growth is not None:
            above = np.log2(sizes / growth.size(years))
            extremes |= {int(above.argmin()), int(above.argmax())}
        return {index: models[index].name for index in sorted(extremes)}

    def _laws(self) -> LawsView:
        name, C = self._value("law"), self._value("budget")
        law = LAWS[name]
        N, D = law.frontier.optimum(C)
        along = np.geomspace(*N_RANGE, 200)
        return LawsView(
            law=name,
            C=C,
            N=float(N),
            D=float(D),
            loss=None if law.loss is None else float(law.loss(N, D)),
            a=law.frontier.a,
            a_range=law.a_range,
            embeddings=law.embeddings,
            frontier=np.array([along, law.frontier.tokens(along)]),
            iso=np.array([along, C / (FLOPS_PER_PARAMETER * along)]),
            surface=None if law.loss is None else _surface(name),
            models=tuple(_trained(model, law) for model in _language_models()),
            named=self._value("named"),
        )

    def draw(self, data: TimelineView | LawsView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _growth(years: np.ndarray, sizes: np.ndarray) -> Growth | None:
    """The fitted doubling time, or None where there are too few models for one."""
    if len(years) < 3 or len(set(years)) < 2:
        return None
    return fit_growth(years, sizes)


@functools.cache
def _language_models() -> tuple[Landmark, ...]:
    """Those that predict the next token, and whose tokens and active parameters are published."""
    return tuple(
        model
        for model in load_landmarks()
        if model.family in LANGUAGE and model.tokens is not None and model.used is not None
    )


def _trained(model: Landmark, law: Law) -> ModelView:
    best = float(law.frontier.tokens(model.used))
    sparse = model.active is not None
    return ModelView(model.name, model.used, model.tokens, model.tokens / best, sparse)


@functools.lru_cache(maxsize=len(LAWS))
def _surface(law: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, tokens, and the loss of each pair (tokens, sizes)."""
    N, D = np.geomspace(*N_RANGE, GRID), np.geomspace(*D_RANGE, GRID)
    return N, D, LAWS[law].loss(N[None, :], D[:, None])


def _controls(budget: float) -> dict[str, ipywidgets.Widget]:
    choice, wide = ipywidgets.Dropdown, {"width": "330px"}

    def choices(*names: str) -> list[tuple[str, str]]:
        return [(_(name), name) for name in names]

    models = [(model.name, model.name) for model in load_landmarks()]
    return {
        "view": described(choice, "view", options=choices(TIMELINE, LAWS_VIEW)),
        "named": described(choice, "name", options=[*choices(EXTREMES), *models], layout=wide),
        "family": described(choice, "family", options=choices(ALL, *FAMILIES), layout=wide),
        "years": described(
            ipywidgets.IntRangeSlider, "years", value=(FIRST, LAST), min=FIRST, max=LAST
        ),
        "count": described(
            choice, "parameters", options=choices(LEARNED, USED), layout={"width": "300px"}
        ),
        "law": described(
            choice,
            "law",
            options=choices(*LAWS),
            value="Hoffmann 2022, approach 3",
            layout=wide,
        ),
        "budget": described(
            ipywidgets.SelectionSlider,
            "training compute C (FLOPs)",
            options=powers(18, 27, 10, CHINCHILLA, budget),
            value=budget,
            layout={"width": "480px"},
        ),
    }


def _row(controls: dict[str, ipywidgets.Widget], *names: str) -> ipywidgets.HBox:
    return ipywidgets.HBox([controls[name] for name in names], layout={"flex_flow": "row wrap"})


def _boxes(controls: dict[str, ipywidgets.Widget]) -> dict[str, ipywidgets.HBox]:
    """The controls of each view; only those of the chosen view are shown."""
    return {view: _row(controls, *names) for view, names in GROUPS.items()}
