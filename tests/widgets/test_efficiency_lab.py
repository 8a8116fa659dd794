"""EfficiencyLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest

from bigmodel_lib.cached.efficiency import Choice, cost_of, measured, networks
from bigmodel_lib.compression import Compression, compress
from bigmodel_lib.widgets import EfficiencyLab
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import drive, tick

CONTROLS = ("channels", "source", "precision", "pruned", "rank", "batch")


@pytest.fixture
def lab():
    return EfficiencyLab(channels=8)  # of these both kinds of student are there


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(lab, name):
    drive(lab, name)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == set(CONTROLS)


def test_it_measures_what_was_measured_in_advance(lab):
    known = measured()
    for precision, pruned, rank in (("float32", 0, 100), ("int8", 50, 100), ("bfloat16", 0, 50)):
        for name, value in (("precision", precision), ("pruned", 0), ("rank", rank)):
            lab.controls[name].value = value
        lab.controls["pruned"].value = pruned
        lab.run()
        view = lab.compute()
        cost = known[Choice(8, "labels", Compression(precision, pruned / 100, rank / 100))]
        assert (view.bytes, view.flops) == (cost.bytes, cost.flops)
        assert 1 - view.wrong == pytest.approx(cost.accuracy, abs=2 / 360)  # other kernels round


def test_the_figures_of_the_original_and_of_int8():
    lab = EfficiencyLab()
    assert lab.compute().kept == 1
    lab.controls["precision"].value = "int8"
    lab.run()
    view = lab.compute()
    assert 0.25 < view.kept < 0.27
    assert view.micros > 0
    assert len(view.tried) == 1
    assert "int8: file" in lab.summary.value


def test_the_circle_is_where_the_figures_are(lab):
    lab.controls["pruned"].value = 60
    lab.run()
    view = lab.compute()
    (point,) = lab._picture._here.get_xydata()
    assert point.tolist() == pytest.approx([view.bytes / 1000, max(100 * view.wrong, 0.14)])
    (point,) = lab._picture._now.get_xydata()
    assert point[0] == pytest.approx(view.micros)


def test_the_front_is_best(lab):
    field = lab._field
    assert lab.compute().is_best == (
        not any(
            (size <= lab.compute().bytes and wrong < lab.compute().wrong)
            or (size < lab.compute().bytes and wrong <= lab.compute().wrong)
            for size, wrong in zip(field.bytes, field.wrong, strict=True)
        )
    )
    for i in field.front:
        rivals = (field.bytes <= field.bytes[i]) & (field.wrong <= field.wrong[i])
        same = (field.bytes == field.bytes[i]) & (field.wrong == field.wrong[i])
        assert np.array_equal(rivals, same)


@pytest.mark.parametrize(
    ("first", "then", "red", "reason"),
    [
        ({"channels": 8, "source": "teacher"}, {"channels": 16}, "channels", "is the teacher"),
        ({"channels": 16}, {"source": "teacher"}, "source", "is the teacher"),
        ({"pruned": 50}, {"rank": 50}, "rank", "a matrix with zeros"),
        ({"rank": 50}, {"pruned": 50}, "pruned", "a matrix with zeros"),
        ({"channels": 2}, {"rank": 10}, "rank", "rounds to none"),
        ({"channels": 8, "rank": 10}, {"channels": 2}, "channels", "rounds to none"),
    ],
)
def test_what_cannot_be_turns_red_and_mends(first, then, red, reason):
    lab = EfficiencyLab(**first)
    before = lab.picture.value
    (name,) = then
    good = lab.controls[name].value
    lab.controls[name].value = then[name]
    tick(lab)
    assert reason in lab.status.value
    assert lab.controls[red].layout.border_top is not None
    assert lab.picture.value == before
    lab.controls[name].value = good
    tick(lab)
    assert lab._refused == {}
    assert lab.controls[red].layout.border_top is None


def test_recipes():
    assert EfficiencyLab(precision="int8", pruned=50).compute().name.endswith("int8, 50% pruned")
    with pytest.raises(ValueError, match="need settings in"):
        EfficiencyLab(colour="red")
    with pytest.raises(RefusedError, match="is the teacher"):
        EfficiencyLab(source="teacher")


def test_the_networks_are_those_of_the_file():
    nets, known = networks(), measured()
    assert {choice.network for choice in known} == set(nets)
    for name in ("16 labels", "2 teacher"):
        channels, source = name.split()
        choice = Choice(int(channels), source, Compression("int8", 0.5, 1.0))
        cost = cost_of(compress(nets[name], choice.how))
        assert (cost.bytes, cost.flops) == (known[choice].bytes, known[choice].flops)
