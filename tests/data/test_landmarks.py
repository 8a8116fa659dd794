"""The table of landmark models: complete, plausible, and recounted where that can be done."""

import ast
import csv
import operator
import re

import pytest
import torch
from torch import nn

from bigmodel_lib.counting import approximate_training_flops, count_parameters
from bigmodel_lib.data.landmarks import FAMILIES, TABLE, Landmark, load_landmarks
from bigmodel_lib.models.transformer import PRESETS

ROWS = load_landmarks()
BY_NAME = {row.name: row for row in ROWS}
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
RECOUNTED = [row for row in ROWS if row.arithmetic]


def value_of(arithmetic: str) -> int:
    """A sum of products of whole numbers, and nothing else."""
    operators = {ast.Add: operator.add, ast.Mult: operator.mul}

    def walk(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return operators[type(node.op)](walk(node.left), walk(node.right))
        assert isinstance(node, ast.Constant)
        assert type(node.value) is int
        return node.value

    return walk(ast.parse(arithmetic, mode="eval").body)


def test_forty_models_or_more_from_the_perceptron_to_today():
    assert len(ROWS) >= 40
    assert ROWS[0].year == 1957
    assert ROWS[-1].year >= 2025
    assert [row.year for row in ROWS] == sorted(row.year for row in ROWS)


def test_no_model_stands_twice():
    assert len(BY_NAME) == len(ROWS)


def test_every_family_has_a_model_and_no_model_another_family():
    assert {row.family for row in ROWS} == set(FAMILIES)


def test_every_column_of_the_table_is_read():
    with TABLE.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == list(Landmark.__dataclass_fields__)
    assert all(len(line) == len(header) for line in lines)
    assert not [cell for line in lines for cell in line if cell != cell.strip()]


@EVERY
def test_each_row_is_plausible(row):
    assert 1957 <= row.year <= 2030
    assert 10 <= row.parameters <= 1e14
    assert row.tokens is None or 1e9 <= row.tokens <= 1e15
    assert row.flops is None or 1e15 <= row.flops <= 1e28
    if row.active is not None:
        assert row.family == "mixture of experts"
        assert row.active <= row.parameters


@EVERY
def test_each_row_says_where_its_numbers_stand(row):
    known = r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+|.*\d{4}.*|AD\d+"
    assert re.fullmatch(known, row.identifier)
    assert re.search(r"\b(19|20)\d\d\b", row.source)
    assert row.where


@EVERY
def test_a_paper_on_arxiv_is_of_the_models_year(row):
    if row.identifier.startswith("arXiv:"):
        assert 2000 + int(row.identifier[6:8]) == row.year


@EVERY
def test_printed_flops_are_about_six_per_parameter_and_token(row):
    if row.flops and row.tokens:
        estimate = approximate_training_flops(row.used, row.tokens)
        assert row.flops == pytest.approx(estimate, rel=0.15)


def cells(column: str) -> dict[str, str]:
    """A column of the table as it is written, by model."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row[column] for row in csv.DictReader(file)}


@pytest.mark.parametrize("row", RECOUNTED, ids=lambda row: row.name)
def test_what_can_be_recounted_is(row):
    """To the digits that the table has. AlexNet's paper says 60 million of 60,965,224."""
    written = cells("parameters")[row.name]
    digits = len(written.split("e")[0].replace(".", ""))
    counted = float(f"{value_of(row.arithmetic):.{digits - 1}e}")
    assert counted == pytest.approx(row.parameters, rel=0.02 if row.name == "AlexNet" else 1e-9)


def test_the_nets_of_the_1980s_and_lenet_are_recounted():
    names = {row.name for row in RECOUNTED}
    assert {row.name for row in ROWS if row.year < 2006} <= names
    assert value_of("2*(3+4)*5") == 70
    with pytest.raises((AssertionError, KeyError)):
        value_of("2**3")


def test_resnet_is_counted_layer_by_layer():
    """Against the same layers built without numbers, on the meta device."""

    def conv(c_in, c_out, k):
        return nn.Sequential(nn.Conv2d(c_in, c_out, k, bias=False), nn.BatchNorm2d(c_out))

    with torch.device("meta"):
        layers, width_in = [conv(3, 64, 7), nn.Linear(2048, 1000)], 64
        for width, blocks in ((64, 3), (128, 8), (256, 36), (512, 3)):
            layers.append(conv(width_in, 4 * width, 1))  # the shortcut
            for _ in range(blocks):
                layers += [conv(width_in, width, 1), conv(width, width, 3)]
                layers.append(conv(width, 4 * width, 1))
                width_in = 4 * width
        total = sum(p.numel() for layer in layers for p in layer.parameters())
    assert BY_NAME["ResNet-152"].parameters == total


@pytest.mark.parametrize(
    ("name", "preset", "tolerance"),
    [("GPT-3", "GPT-3 175B", 0.001), ("GPT-2 XL", "GPT-2 XL", 0.011)],
)
def test_gpts_are_as_large_as_the_librarys(name, preset, tolerance):
    """GPT-2's paper prints 1542 million, and its released weights hold 1558 million."""
    total = count_parameters(PRESETS[preset]).total
    assert BY_NAME[name].parameters == pytest.approx(total, rel=tolerance)


def test_no_net_of_the_1980s_had_more_than_a_hundred_thousand_parameters():
    eighties = [row for row in ROWS if 1980 <= row.year < 1990]
    assert {"Neocognitron", "NETtalk", "LeNet (1989)", "ALVINN"} <= {row.name for row in eighties}
    assert max(row.parameters for row in eighties) < 1e5


def test_what_a_token_uses():
    assert BY_NAME["GPT-3"].used == BY_NAME["GPT-3"].parameters
    assert BY_NAME["DeepSeek-V3"].used == 37_000_000_000
    assert BY_NAME["Switch-C"].used is None  # its paper counts FLOPs only
    assert BY_NAME["DLRM (12T)"].used is None


def test_gpt_4_is_not_there():
    """Its report (arXiv:2303.08774, section 2) declines to state a size."""
    assert not [name for name in BY_NAME if name.startswith("GPT-4")]


def test_the_table_is_read_once_and_cannot_be_changed():
    assert load_landmarks() is load_landmarks()
    with pytest.raises(AttributeError):
        ROWS[0].parameters = 7
