"""What the report card reads is what `claim` prints; it is compared with that function itself."""

import contextlib
import io

import pytest

from bigmodel_lib.chapters import Section, executed_cells
from bigmodel_lib.claims import claim
from bigmodel_lib.report_card import as_markdown, checked

HERE = Section("06_x.ipynb", "6.1", "6.1 Natural language")


def cell_that(*claims):
    """A cell which has printed these claims, between other lines and one by one."""
    outputs = []
    for statement, value, bounds in claims:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            print("something else")
            claim(statement, value, **bounds)
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
        outputs.append({"output_type": "stream", "name": "stderr", "text": ["a bar\n"]})
    return {"outputs": outputs}


def test_reads_what_claim_prints():
    cell = cell_that(
        ("share: of all, a fraction", 0.98, {"low": 0.9, "high": 1}),
        ("parameters", 2_025_600, {"low": 2_025_600, "high": 2_025_600}),
    )
    share, parameters = checked([(cell, HERE)])
    assert (share.statement, share.value) == ("share: of all, a fraction", "0.98")
    assert (share.claimed, share.section, share.exact) == ("0.9 to 1", HERE, False)
    assert (parameters.value, parameters.exact) == ("2,025,600", True)


def test_other_outputs_say_nothing():
    cell = {
        "outputs": [
            {"output_type": "display_data", "data": {"text/plain": "✓ a: measured 1, claimed 2"}},
            {"output_type": "stream", "name": "stderr", "text": "✓ a: measured 1, claimed 2\n"},
            {"output_type": "stream", "name": "stdout", "text": "a: measured 1, claimed 2\n"},
        ]
    }
    assert checked([(cell, HERE), ({}, HERE)]) == []


def test_the_table_links_and_keeps_bars_inside_their_cell():
    (one,) = checked([(cell_that(("max |a − b|", 0.0, {"high": 1e-6})), HERE)])
    head, _, row = as_markdown([one]).splitlines()
    assert head == "| statement | measured | claimed | section |"
    link = "[6.1](06_x.ipynb#6.1-Natural-language)"
    assert row == rf"| max \|a − b\| | {one.value} | {one.claimed} | {link} |"
    with pytest.raises(ValueError, match="need at least one claim"):
        as_markdown([])


def test_each_executed_chapter_has_checked_statements_in_its_sections():
    found = checked(executed_cells())
    by_chapter = {place.notebook for _, place in executed_cells()}
    assert {one.section.notebook for one in found} == by_chapter
    assert all(one.section.number for one in found)
