"""Training a translator: against a plain loop, on what it may see, and its baseline."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.data import numbers
from bigmodel_lib.models.translator import Translator
from bigmodel_lib.training.translation import (
    TranslationMemory,
    TranslationRun,
    TranslationSettings,
    draw_numbers,
    exact_match,
    source_and_target,
    text_translator,
)


def small() -> Translator:
    torch.manual_seed(0)
    return Translator(len(numbers.VOCABULARY), 24, 2, 1)


@pytest.mark.parametrize("held_out", [True, False])
def test_numbers_are_drawn_from_one_part_and_each_length_as_often(held_out):
    torch.manual_seed(0)
    drawn = draw_numbers(3000, 5, held_out=held_out)
    assert len(drawn) == 3000
    assert {numbers.is_held_out(n) for n in drawn} == {held_out}
    lengths = torch.tensor([len(str(n)) for n in drawn])
    shares = torch.bincount(lengths, minlength=6)[1:] / 3000
    # short numbers are few, and 0 … 9 may hold fewer of one part than a tenth
    assert (shares[1:] - 0.2).abs().max() < 0.04
    assert shares.sum() == pytest.approx(1)
    assert min(drawn) < 10
    assert max(drawn) > 95_000


def test_a_pair_in_either_direction():
    source, target = source_and_target(10_021, "zh")
    assert (numbers.decode(source), numbers.decode(target)) == (
        "ten thousand twenty-one",
        "一万零二十一",
    )
    assert (target[0], target[-1]) == (numbers.TO_CHINESE, numbers.END)
    source, target = source_and_target(10_021, "en")
    assert (numbers.decode(source), target[0]) == ("一万零二十一", numbers.TO_ENGLISH)


def test_steps_equal_a_plain_loop():
    settings = TranslationSettings(lr=2e-3, batch_size=7, digits=3)
    run = TranslationRun(small(), settings=settings, seed=3)
    plain = copy.deepcopy(run.model)
    optimizer = torch.optim.AdamW(plain.parameters(), 2e-3, weight_decay=0)
    torch.manual_seed(3)
    for _ in range(3):
        drawn = draw_numbers(7, 3)
        losses, count = 0, 0
        for i, n in enumerate(drawn):  # one pair at a time: no padding
            source, target = source_and_target(n, "zh" if i % 2 == 0 else "en")
            logits = plain(torch.tensor([source]), torch.tensor([target[:-1]]))[0]
            losses = losses + F.cross_entropy(logits, torch.tensor(target[1:]), reduction="sum")
            count += len(target) - 1
        optimizer.zero_grad()
        (losses / count).backward()
        optimizer.step()
        assert next(run)["loss"] == pytest.approx(losses.item() / count, rel=1e-4)


def test_it_never_sees_what_is_held_out():
    run, seen = TranslationRun(small(), settings=TranslationSettings(digits=2)), set()
    run.model.register_forward_pre_hook(
        lambda _, inputs: seen.update(map(tuple, inputs[0].tolist()))
    )
    for _ in run.take(20):
        pass
    texts = {numbers.decode(list(row)) for row in seen}
    of = {write(n): n for n in range(100) for write in (numbers.to_english, numbers.to_chinese)}
    assert not any(numbers.is_held_out(of[text]) for text in texts)
    assert len(texts) > 150


def test_it_learns_numbers_below_ten():
    settings = TranslationSettings(lr=1e-2, batch_size=16, digits=1)
    run = TranslationRun(small(), settings=settings)
    losses = [record["loss"] for record in run.take(100)]
    assert losses[0] > 2
    assert losses[-1] < 0.1
    known = [n for n in range(10) if not numbers.is_held_out(n)]
    run.model.eval()
    assert exact_match(text_translator(run.model, "zh"), known, "zh") == 1
    assert exact_match(text_translator(run.model, "en"), known, "en") == 1


def test_exact_match_counts_whole_texts():
    values = [7, 21, 105, 3000]
    assert exact_match(lambda texts: [*map(_true, texts)], values, "zh") == 1
    assert exact_match(lambda texts: [_true(texts[0])] * 4, values, "zh") == 0.25
    with pytest.raises(ValueError, match="got none"):
        exact_match(lambda texts: texts, [], "zh")


def _true(text: str) -> str:
    return numbers.to_chinese(numbers.from_english(text))


# --- the translation memory


def edits(a: tuple, b: tuple) -> int:
    @functools.cache
    def table(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        replaced = table(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(table(i - 1, j) + 1, table(i, j - 1) + 1, replaced)

    return table(len(a), len(b))


def test_distances_are_levenshteins():
    torch.manual_seed(0)
    values = draw_numbers(40, 7)
    memory = TranslationMemory(values, "zh")
    sources = [tuple(numbers.encode(numbers.to_english(n))) for n in dict.fromkeys(values)]
    for n in draw_numbers(10, 7, held_out=True):
        text = numbers.to_english(n)
        expected = [edits(source, tuple(numbers.encode(text))) for source in sources]
        assert memory._distances(text).tolist() == expected


def test_the_memory_knows_what_it_knows_and_takes_the_nearest_else():
    memory = TranslationMemory([20, 21, 35, 700], "en")
    assert memory(["二十一", "七百", "二十二"]) == ["twenty-one", "seven hundred", "twenty"]
    assert exact_match(memory, [20, 21, 35, 700], "en") == 1
    assert exact_match(memory, [22, 36], "en") == 0


@pytest.mark.parametrize("setting", [{"batch_size": 1}, {"digits": 0}, {"digits": 13}])
def test_settings_out_of_range_are_told(setting):
    with pytest.raises(ValueError, match="batch_size >= 2 and digits in 1 … 12"):
        TranslationSettings(**setting).check()
