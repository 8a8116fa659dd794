"""Formulas by hand, and published runs within their stated tolerance."""

from dataclasses import replace

import pytest

from bigmodel_lib.costs import DEVICES, PUBLISHED, Published, Training, misses

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
    for N in (175e9, 176e9):  # 35 times 80 GB to the byte, and a little more
        large = replace(ONE, N=N, n=64)
        for n, fits in ((large.fewest, True), (large.fewest - 1, False)):
            assert (replace(large, n=n).memory <= DEVICES["A100"].memory) == fits


def test_a_miss_is_above_zero_where_more_was_computed_than_published():
    published = Published(ONE, {"kwh": ONE.kwh / 2, "co2": ONE.co2 * 2}, 0.01, "made up")
    assert misses(published) == pytest.approx({"kwh": 1, "co2": -0.5})


# Streaming multiprocessors, FLOPs of their tensor cores a clock (16 bits, dense, summed in
# float32), boost clock in Hz: the makers' white papers of each architecture.
CORES = {
    "T4": (40, 1024, 1.59e9),
    "V100": (80, 1024, 1.53e9),
    "A100": (108, 2048, 1.41e9),
    "H100": (132, 4096, 1.83e9),
    "RTX 4090": (128, 512, 2.52e9),
}


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_computes_what_its_cores_do_a_clock(name):
    cores, each, clock = CORES[name]
    assert DEVICES[name].flops == pytest.approx(cores * each * clock, rel=0.005)


def test_the_ends_of_the_ranges_are_allowed():
    free = replace(ONE, utilisation=1.0, pue=1.0, grid=0.0, price=0.0)
    assert free.kwh == pytest.approx(ONE.kwh / 2 / 1.2)
    assert (free.co2, free.money) == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "abacus"}, "need a device in"),
        ({"N": 0}, "above 0"),
        ({"D": float("inf")}, "above 0"),
        ({"n": 0}, "above 0"),
        ({"watts": 0}, "above 0"),
        ({"utilisation": 1.2}, r"in \(0, 1\]"),
        ({"utilisation": 0}, r"in \(0, 1\]"),
        ({"pue": 0.9}, "pue >= 1"),
        ({"grid": -1}, "grid >= 0"),
        ({"price": -1}, "price >= 0"),
    ],
)
def test_refuses_what_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(ONE, **change)
