"""Every path of a program's choices, against probabilities that can be counted by hand."""

from math import comb

import pytest
import torch

from bigmodel_lib.models.chance import Chance, outcomes


def test_coins_are_binomial():
    found = outcomes(lambda chance: sum(chance.coin(0.3) for _ in range(5)))
    for k in range(6):
        assert found[k] == pytest.approx(comb(5, k) * 0.3**k * 0.7 ** (5 - k), rel=1e-12)


def test_later_choices_may_depend_on_earlier_ones():
    p = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)

    def program(chance):
        first = chance.draw(p)
        return (first, chance.coin(0.1)) if first == 2 else (first,)

    expected = {(0,): 0.5, (1,): 0.25, (2, True): 0.025, (2, False): 0.225}
    assert outcomes(program) == pytest.approx(expected)


def test_impossible_choices_are_left_out():
    p = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert outcomes(lambda chance: (chance.draw(p), chance.coin(0.0), chance.coin(1.0))) == {
        (1, False, True): 1.0
    }


def test_luck_follows_the_same_probabilities():
    chance = Chance(torch.Generator().manual_seed(0))
    p = torch.tensor([0.2, 0.0, 0.8])
    drawn = [chance.draw(p) for _ in range(2000)]
    coins = [chance.coin(0.3) for _ in range(2000)]
    assert set(drawn) == {0, 2}
    assert drawn.count(0) / 2000 == pytest.approx(0.2, abs=0.04)  # four standard errors
    assert sum(coins) / 2000 == pytest.approx(0.3, abs=0.045)


def test_one_seed_one_result():
    draw = lambda: Chance(torch.Generator().manual_seed(3)).draw(torch.ones(100) / 100)  # noqa: E731
    assert draw() == draw()
