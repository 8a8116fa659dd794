"""ResourceCalculator, driven without a kernel over the range of all of its controls."""

import re

import pytest

from bigmodel_lib.costs import DEVICES, PUBLISHED, misses
from bigmodel_lib.widgets import ResourceCalculator
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.resource_calculator import NAMES, OWN, STEPS
from bigmodel_lib.widgets.resource_calculator_picture import ROWS
from tests.driving import drive, settle, values_of

CONTROLS = ("preset", *NAMES)


@pytest.fixture
def calculator():
    return ResourceCalculator(N=1e6, n=1)  # so small a model fits every device


@pytest.mark.parametrize("name", [name for name in CONTROLS if name not in ("N", "n", "preset")])
def test_each_control_over_its_range(calculator, name):
    drive(calculator, name)


@pytest.mark.parametrize("name", ["N", "n"])
def test_size_and_devices_over_their_range_are_refused_where_they_do_not_fit(name):
    calculator, answers = ResourceCalculator(N=1e11, n=1024), set()
    for value in values_of(calculator.controls[name]):
        calculator.controls[name].value = value
        training = {key: calculator.controls[key].value for key in NAMES}
        fits = 16 * training["N"] / training["n"] <= DEVICES[training["device"]].memory
        answers.add(fits)
        if fits:
            calculator.run()
        else:
            with pytest.raises(RefusedError, match=r"needs .* at least"):
                calculator.run()
    assert answers == {True, False}


def test_what_fills_the_devices_to_the_byte_fits_and_a_refusal_says_how_many_would_do():
    calculator = ResourceCalculator(N=1e10, n=2, device="A100")  # 16 bytes each, 80 GB a device
    calculator.run()
    calculator.controls["N"].value = 1e11
    with pytest.raises(RefusedError, match=r"2 × A100 hold 160 GB, .* 1,600 GB: needs 20 at"):
        calculator.run()


def test_a_readers_own_training_is_called_so_and_a_published_one_by_its_name(calculator):
    assert calculator.controls["preset"].value == OWN
    name, published = next(iter(PUBLISHED.items()))
    same = {key: getattr(published.training, key) for key in NAMES}
    assert ResourceCalculator(**same).controls["preset"].value == name


def test_every_control_is_driven_by_some_test(calculator):
    assert set(calculator.controls) == set(CONTROLS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_run_is_met_within_its_tolerance_and_says_so(calculator, name):
    calculator.controls["preset"].value = name
    calculator.run()
    summary = calculator.summary.value
    assert "published figures met within" in summary
    worst = float(summary.split("met within ")[1].split("%")[0]) / 100
    assert worst <= PUBLISHED[name].tolerance + 5e-4
    assert worst == pytest.approx(max(map(abs, misses(PUBLISHED[name]).values())), abs=5e-4)
    assert PUBLISHED[name].told in summary
    calculator.controls["grid"].value += STEPS["grid"]
    settle(calculator)
    assert calculator.controls["preset"].value == OWN
    assert "published" not in calculator.summary.value


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_page_that_reports_the_nearest_steps_leaves_a_published_run_as_it_is(calculator, name):
    calculator.controls["preset"].value = name
    calculator.run()
    before = calculator.summary.value
    for control in STEPS:
        slider = calculator.controls[control]
        slider.value = slider.min + slider.step * round((slider.value - slider.min) / slider.step)
        settle(calculator)
    assert calculator.controls["preset"].value == name
    assert calculator.summary.value == before


def test_the_sliders_of_sizes_offer_the_published_ones_and_the_readers(calculator):
    for published in PUBLISHED.values():
        for name in ("N", "D", "n"):
            assert (
                getattr(published.training, name)
                in dict(calculator.controls[name].options).values()
            )
    assert ResourceCalculator(N=7e9, n=64).controls["N"].value == 7e9
    with pytest.raises(ValueError, match=r"need a number from 1e6 to 1e13, got 1e\+14"):
        ResourceCalculator(N=1e14, n=64)


def test_a_device_brings_its_watts_and_its_source(calculator):
    calculator.controls["device"].value = "H100"
    calculator.run()
    assert calculator.controls["watts"].value == DEVICES["H100"].watts
    texts = [lines.get_text() for _own, _value, lines in calculator._picture._rows]
    assert any(DEVICES["H100"].source in text for text in texts)
    calculator.controls["price"].value = 5.0
    calculator.run()
    assert calculator.controls["watts"].value == DEVICES["H100"].watts


def number_in(text):
    """The first number of a text, such as "1,287"; three digits of it are right."""
    return float(re.search(r"\d[\d,.]*(e[+-]\d+)?", text)[0].replace(",", ""))


def test_each_figure_shows_its_formula_its_source_and_what_was_published(calculator):
    calculator.controls["preset"].value = "GPT-3, 175 B"
    calculator.run()
    run = PUBLISHED["GPT-3, 175 B"]
    for row, (own, value, lines) in zip(ROWS, calculator._picture._rows, strict=True):
        figure = getattr(run.training, row.name) / row.unit
        assert own.get_xdata()[0] == pytest.approx(figure)
        assert row.limits[0] <= figure <= row.limits[1]
        assert number_in(value.get_text()) == pytest.approx(figure, rel=5e-3)
        assert ("e" in value.get_text()) == (figure >= 1e7)
        formula, _source, *beside = lines.get_text().splitlines()
        assert formula.startswith("= ")
        assert len(beside) == (row.name in run.figures)
        for told in beside:
            assert number_in(told) == pytest.approx(run.figures[row.name] / row.unit, rel=5e-3)
            assert told.endswith(run.source)
        if row.name == "days":
            assert f"{DEVICES['V100'].flops:.3g} FLOPs a second" in formula


def test_the_summary_says_each_figure_in_its_unit():
    calculator = ResourceCalculator(preset="GPT-3, 175 B")
    run = PUBLISHED["GPT-3, 175 B"].training
    said = calculator.summary.value
    for before, wanted in {
        "V100: ": run.days,
        "days, ": run.device_hours,
        "hours, ": run.money,
        "$, ": run.kwh / 1e3,  # MWh
        "MWh, ": run.co2 / 1e3,  # tonnes
        "holds ": run.memory / 1e9,  # GB
        "GB of ": 32,
    }.items():
        assert number_in(said.split(before)[1]) == pytest.approx(wanted, rel=5e-3)


def test_what_does_not_fit_turns_red_and_the_picture_stays(calculator):
    before = bytes(calculator.picture.value)
    calculator.controls["N"].value = 1e13
    settle(calculator)
    assert "needs" in calculator.status.value
    assert calculator.controls["n"].layout.border
    assert bytes(calculator.picture.value) == before
    calculator.controls["N"].value = 1e9
    settle(calculator)
    assert calculator.controls["n"].layout.border is None


def test_refuses_a_choice_that_names_no_control():
    with pytest.raises(ValueError, match="need choices in"):
        ResourceCalculator(gpus=3)
