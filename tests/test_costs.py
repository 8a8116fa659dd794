"""Formulas by hand, and published runs within their stated tolerance."""

from dataclasses import replace

import pytest

from bigmodel_lib.costs import DEVICES, PUBLISHED, Training, misses

ONE = Training(N=1e9, D=2e10, device="A100", n=8, utilisation=0.5, watts=500, pue=1.2, grid=0.3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_runs_cost_what_was_published(name):
    found = misses(PUBLISHED[name])
    assert found
    assert max(map(abs, found.values())) <= PUBLISHED[name].tolerance, found


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_wrong_setting_is_seen_in_a_published_run(name):
    published = PUBLISHED[name]
    wrong = replace(published, training=replace(published.training, watts=250))
    assert abs(misses(wrong)["kwh"]) > published.tolerance


def test_each_figure_is_its_formula():
    seconds = 6 * 1e9 * 2e10 / (0.5 * 312e12)  # of one device
    assert ONE.device_hours == pytest.approx(seconds / 3600)
    assert ONE.days == pytest.approx(seconds / 86400 / 8)
    assert ONE.kwh == pytest.approx(seconds / 3600 * 0.5 * 1.2)
    assert ONE.co2 == pytest.approx(ONE.kwh * 0.3)
    assert ONE.money == pytest.approx(seconds / 3600 * 2)
    assert ONE.memory == 16e9 / 8


def test_more_devices_save_days_and_nothing_else():
    more = replace(ONE, n=16)
    assert more.days == pytest.approx(ONE.days / 2)
    assert (more.kwh, more.money, more.co2) == (ONE.kwh, ONE.money, ONE.co2)


def test_the_fewest_devices_hold_it_and_one_less_does_not():
    large = replace(ONE, N=175e9, n=64)
    assert large.fewest == 35  # 2.8 TB on 80 GB each
    for n, fits in ((35, True), (34, False)):
        assert (replace(large, n=n).memory <= DEVICES["A100"].memory) == fits


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "abacus"}, "need a device in"),
        ({"N": 0}, "above 0"),
        ({"D": float("inf")}, "above 0"),
        ({"utilisation": 1.2}, r"in \(0, 1\]"),
        ({"pue": 0.9}, "pue >= 1"),
        ({"grid": -1}, "grid >= 0"),
    ],
)
def test_refuses_what_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(ONE, **change)
