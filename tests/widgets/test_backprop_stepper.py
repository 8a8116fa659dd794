"""BackpropStepper, driven without a kernel over the range of all of its controls."""

import html

import numpy as np
import pytest
import torch
from matplotlib.patches import FancyBboxPatch

from bigmodel_lib.autodiff import FUNCTIONS
from bigmodel_lib.widgets import BackpropStepper
from bigmodel_lib.widgets import backprop_stepper as module
from bigmodel_lib.widgets.backprop_walk import RULES
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import PNG, click, pixels, settle, tick, values_of

BUTTONS = ("start", "back", "step", "all", "play", "pause")
SIX = "a*b + c*d + e*f"
TORCH = {name: getattr(torch, name) for name in FUNCTIONS if name != "softplus"}
TORCH["softplus"] = torch.nn.functional.softplus


@pytest.fixture
def stepper():
    return BackpropStepper()


def summary(stepper):
    return html.unescape(stepper.summary.value)


def at(stepper, step):
    stepper.controls["at"].value = step
    stepper.run()
    return summary(stepper)


# --- every control ---


@pytest.mark.parametrize("name", ["example", "at", "speed", *module.SLIDERS])
def test_each_control_over_its_range(name):
    stepper = BackpropStepper(text=SIX) if name in module.SLIDERS else BackpropStepper()
    for value in values_of(stepper.controls[name]):
        stepper.controls[name].value = value
        stepper.run()
        assert bytes(stepper.picture.value).startswith(PNG)
        assert stepper.error is None


def test_every_control_is_driven_by_some_test(stepper):
    assert set(stepper.controls) == {*BUTTONS, "example", "text", "at", "speed", *module.SLIDERS}


@pytest.mark.parametrize("first", BUTTONS)
def test_buttons_in_every_order(stepper, first):
    for second in BUTTONS:
        click(stepper, first, second)
        tick(stepper)
        click(stepper, second, first)
        tick(stepper)
        assert stepper.error is None
        assert bytes(stepper.picture.value).startswith(PNG)


def test_buttons_move_by_one_to_the_end_and_to_the_start(stepper):
    places = []
    for name in ("step", "step", "back", "all", "step", "back", "start", "back"):
        click(stepper, name)
        settle(stepper)
        places.append(stepper.now())
    assert places == [1, 2, 1, 14, 14, 13, 0, 0]


def test_play_goes_one_step_a_time_that_is_due_and_stops_at_the_end(stepper, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stepper.controls["speed"].value = 2
    click(stepper, "play")
    places = []
    for _tick in range(8):
        stepper._tick()
        places.append(stepper.now())
        now[0] += 0.25
    assert places == [1, 1, 2, 2, 3, 3, 4, 4]
    now[0] += 10
    for _tick in range(11):
        stepper._tick()
        now[0] += 0.6
    assert stepper.now() == 14
    assert not stepper.playing
    assert "all steps done" in stepper.status.value
    click(stepper, "play")  # from the end it begins anew
    stepper._tick()
    assert stepper.now() == 1


def test_pause_and_a_new_formula_stop_it(stepper):
    for stop in ("pause", "formula"):
        click(stepper, "play")
        tick(stepper)
        assert stepper.playing
        if stop == "pause":
            click(stepper, "pause")
        else:
            stepper.controls["example"].value = "logistic loss"
        settle(stepper)
        assert not stepper.playing


# --- what it shows ---


@pytest.mark.parametrize("example", module.EXAMPLES)
def test_values_and_gradients_of_each_example_equal_torchs(example):
    text, values = module.EXAMPLES[example]
    stepper = BackpropStepper(example=example, at=99)
    walk = stepper.compute()
    names = stepper._formula.inputs
    inputs = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in zip(names, values, strict=True)
    }
    space = {**TORCH, **inputs}
    for statement in text.split(";"):
        target, _equals, formula = statement.rpartition("=")
        space[target.strip()] = result = eval(formula.strip(), space)
    result.backward()
    assert walk.values[-1] == pytest.approx(result.item())
    for name, tensor in inputs.items():
        assert walk.gradients[walk.names.index(name)] == pytest.approx(tensor.grad.item())


@pytest.mark.parametrize("example", module.EXAMPLES)
def test_one_node_more_is_known_after_every_step(example):
    stepper = BackpropStepper(example=example)
    seen = []
    for step in range(stepper.controls["at"].max + 1):
        at(stepper, step)
        walk, boxes = stepper.compute(), stepper._picture._drawing.boxes
        values = sum(bool(box.value.get_text()) for box in boxes)
        gradients = sum(bool(box.gradient.get_text()) for box in boxes)
        seen.append(values + gradients)
        thick = [i for i, box in enumerate(boxes) if box.frame.get_linewidth() == 3]
        assert thick == ([] if step == 0 else [walk.current])
    inputs = len(stepper._formula.inputs)
    assert seen == list(range(inputs, inputs + len(seen)))


def test_backward_marks_the_edges_that_bring_the_gradient_with_local_derivatives():
    stepper = BackpropStepper(text="u = a*b; u*u + sin(u)", input1=2.0, input2=0.5)
    walk = stepper.compute()
    u = walk.names.index("u")
    at(stepper, len(walk.forward) + walk.backward.index(u) + 1)
    picture = stepper._picture
    used = {edge for edge, line in picture._drawing.lines.items() if line.get_linewidth() == 2.5}
    assert {parent for parent, _child in used} == {u}
    texts = {walk.ops[child]: picture._notes[u, child].get_text() for _u, child in used}
    assert texts == {"×": "2", "sin": "0.54"}  # u + u and cos(u), at u = 1
    others = [note for edge, note in picture._notes.items() if edge not in used]
    assert not any(note.get_visible() for note in others)


def test_an_input_draws_no_box_anew_nor_does_a_step_seen_before(stepper, monkeypatch):
    drawn, draw = [], FancyBboxPatch.draw
    monkeypatch.setattr(FancyBboxPatch, "draw", lambda *args: drawn.append(args) or draw(*args))
    at(stepper, 8)
    assert len(drawn) >= len(stepper._picture._drawing.boxes)
    at(stepper, 9)
    drawn.clear()
    stepper.controls["input1"].value = 0.25
    stepper.run()
    at(stepper, 8)
    frames = {box.frame for box in stepper._picture._drawing.boxes}
    assert not frames & {args[0] for args in drawn}


def test_a_picture_reached_by_detours_is_that_of_a_new_stepper(stepper):
    for step, value in ((3, 0.5), (9, 0.25), (3, -1.0), (0, 0.5), (9, 0.5)):
        stepper.controls["input1"].value = value
        at(stepper, step)
        new = BackpropStepper(input1=value, at=step)
        np.testing.assert_allclose(pixels(stepper), pixels(new), atol=2)


def test_words_tell_value_local_derivative_and_product(stepper):
    assert "only the inputs are known; 5 operations to compute, then 9" in summary(stepper)
    assert at(stepper, 1) == "forward 1 of 5: v1 = w × x = 0.5 × 2 = 1"
    assert at(stepper, 3) == "forward 3 of 5: v3 = tanh(v2) = tanh(0.7) = 0.604"
    assert at(stepper, 6) == "backward 1 of 9: dL/dL = 1: here the way back begins"
    words = "dL/dv2 = dL/dv3 · ∂v3/∂v2 = (−0.791) × 0.635 = −0.502; ∂v3/∂v2 = 1 − tanh²(v2)"
    assert at(stepper, 10) == f"backward 5 of 9: {words}"


def test_words_add_up_what_comes_from_several_sides():
    stepper = BackpropStepper(text="u = a*b; u*u + u", input1=2.0, input2=0.5, at=99)
    walk = stepper.compute()
    words = at(stepper, len(walk.forward) + walk.backward.index(walk.names.index("u")) + 1)
    assert "dL/du = dL/dv1 · ∂v1/∂u + dL/dL · ∂L/∂u = 1 × 2 + 1 × 1 = 3" in words
    assert "∂v1/∂u = u + u, ∂L/∂u = 1" in words
    assert "u is used 2 times" in words


@pytest.mark.parametrize("op", RULES)
def test_the_rule_told_for_each_operation_is_its_local_derivative(op):
    """The rule's formula, evaluated, against the slope that the graph holds."""
    texts = {"+": "a + b", "−": "a - b", "×": "a*b", "÷": "a/b", "^": "a**3", "neg": "-a"}
    stepper = BackpropStepper(text=texts.get(op, f"{op}(a)"), input1=0.7, input2=1.3)
    walk = stepper.compute()
    space = {name: f for name, (f, _slope) in FUNCTIONS.items()}
    space |= {"σ": FUNCTIONS["sigmoid"][0], "tanh2": lambda x: space["tanh"](x) ** 2}
    for name in stepper._formula.inputs:
        node = walk.names.index(name)
        rule = walk._rule(len(walk.names) - 1, node)
        rule = rule.replace("tanh²", "tanh2").replace("²", "**2").replace("^", "**")
        rule = rule.replace("−", "-").replace("·", "*").replace("1 if a > 0, else 0", "1")
        value = eval(rule, {**space, "a": 0.7, "b": 1.3})
        assert value == pytest.approx(walk.slope(len(walk.names) - 1, node))


def test_names_do_not_collide_with_the_readers():
    stepper = BackpropStepper(text="v1 = a*L; v1*sin(a) + v1")
    assert sorted(stepper.compute().names) == ["L", "a", "v1", "v2", "v3", "v4"]


# --- formulas and inputs ---


def test_inputs_have_sliders_of_their_names_and_the_others_hide(stepper):
    def shown():
        return [
            stepper.controls[name].description
            for name in module.SLIDERS
            if stepper.controls[name].layout.display != "none"
        ]

    assert shown() == ["w", "x", "b", "t"]
    stepper.controls["text"].value = SIX
    stepper.run()
    assert shown() == list("abcdef")
    assert stepper.controls["example"].value == module.OWN


def test_a_name_that_returns_keeps_its_value(stepper):
    stepper.controls["input2"].value = 2.5  # x
    stepper.run()
    stepper.controls["text"].value = "x*y"
    stepper.run()
    assert stepper.controls["input1"].value == 2.5
    assert (stepper.now(), stepper.controls["at"].max) == (0, 4)


def test_an_input_moves_all_values_and_the_walk_stays(stepper):
    at(stepper, 7)
    before = stepper.compute()
    stepper.controls["input1"].value = -1.0
    stepper.run()
    after = stepper.compute()
    assert (after.at, after.values[after.names.index("w")]) == (7, -1.0)
    assert after.values[-1] != before.values[-1]


def test_an_example_typed_by_hand_is_recognised(stepper):
    stepper.controls["text"].value = module.EXAMPLES["logistic loss"][0]
    stepper.run()
    assert stepper.controls["example"].value == "logistic loss"


def test_your_own_keeps_the_formula_that_is_there(stepper):
    stepper.controls["example"].value = module.OWN
    stepper.run()
    assert stepper._formula.inputs == ("w", "x", "b", "t")


# --- refused ---


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a +", "this is no formula"),
        ("__import__('os').getcwd()", "unknown: "),
        ("a ^ 2", "write powers with"),
        ("a+b+c+d+e+f+g", "need at most 6 inputs, got a, b, c, d, e, f, g"),
        ("sin(" * 11 + "a" + ")" * 11, "need at most 11 boxes in a chain, got 12"),
        ("+".join(["a*a*b"] * 9), "need at most"),
        ("a*temperature", "names of at most 6 letters, got 11"),
        ("log(a - 1)", "log has no finite value or derivative at 0"),
        ("1/(a - 1)", "÷ has no finite value or derivative at 1, 0"),
        ("exp(exp(9*a))", "exp has no finite value"),
    ],
)
def test_what_cannot_be_turns_red_and_the_last_good_picture_stays(stepper, text, reason):
    at(stepper, 7)
    before = bytes(stepper.picture.value)
    stepper.controls["text"].value = text
    settle(stepper)
    assert reason in html.unescape(stepper.status.value)
    assert stepper.controls["text"].layout.border_top
    assert bytes(stepper.picture.value) == before
    with pytest.raises(RefusedError):
        stepper.run()
    stepper.controls["text"].value = "a*b"
    stepper.run()
    assert stepper.controls["text"].layout.border_top is None


def test_an_input_that_leads_nowhere_turns_red_until_it_is_moved_back():
    stepper = BackpropStepper(text="log(a) + b", at=99)
    before = bytes(stepper.picture.value)
    stepper.controls["input1"].value = -1.0
    settle(stepper)
    assert "log has no finite value" in stepper.status.value
    assert stepper.controls["input1"].layout.border_top
    assert bytes(stepper.picture.value) == before
    stepper.controls["input1"].value = 2.0
    settle(stepper)
    assert stepper._refused == {}
    assert bytes(stepper.picture.value) != before


def test_an_example_replaces_a_formula_that_was_refused(stepper):
    stepper.controls["text"].value = "a +"
    settle(stepper)
    assert stepper.controls["text"].layout.border_top
    stepper.controls["example"].value = "logistic loss"
    settle(stepper)
    assert stepper._refused == {}
    assert stepper._formula.inputs == ("y", "w", "x", "b")


def test_recipes_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="got 'formula'"):
        BackpropStepper(formula="a*b")
    with pytest.raises(RefusedError, match="no formula"):
        BackpropStepper(text="a b")
    with pytest.raises(RefusedError, match="no finite value"):
        BackpropStepper(text="log(a)", input1=-1.0)


def test_an_error_pauses_and_is_shown(stepper, monkeypatch):
    monkeypatch.setattr(stepper, "steps", lambda count: 1 / 0)
    click(stepper, "play")
    tick(stepper)
    assert not stepper.playing
    assert "ZeroDivisionError" in stepper.status.value
