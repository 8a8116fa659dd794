"""From text to sampling in a folder: interrupted, continued, refused, killed."""

import copy
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bigmodel_lib.models.sampling import GREEDY, Sampler
from bigmodel_lib.train_gpt import Plan, Project, ProjectError
from bigmodel_lib.train_gpt import __main__ as command_module
from bigmodel_lib.train_gpt.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = Plan(
    V=280, T=13, L=2, D=16, H=2, dropout=0.1, steps=43, batch_size=3, save_every=10, warmup=4
)
TEXT = "\n".join(f"{n} and {n + 1} make {2 * n + 1}; 数字." for n in range(200))


def weights(project):
    return {name: value.clone() for name, value in project.model.state_dict().items()}


def finish(project):
    for _ in project.steps():
        pass
    return project


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing disturbed."""
    return finish(Project(tmp_path_factory.mktemp("whole"), TEXT, SMALL))


def test_goes_on_to_the_very_weights_of_an_undisturbed_training(whole, tmp_path):
    interrupted = Project(tmp_path, TEXT, SMALL)
    for record in interrupted.steps():
        if record.step == 27:  # seven steps after the last checkpoint
            break
    again = Project(tmp_path, TEXT)
    assert (again.run.step, again.plan) == (20, SMALL)
    torch.testing.assert_close(weights(finish(again)), weights(whole), rtol=0, atol=0)


def test_learns_and_measures_on_what_it_never_trained_on(whole, tmp_path):
    untrained = Project(tmp_path, TEXT, SMALL)
    assert whole.train_text + whole.test_text == TEXT
    assert len(whole.test_text) == pytest.approx(SMALL.held_out * len(TEXT), abs=1)
    assert whole.measure() < untrained.measure() - 0.3
    assert whole.measure(50) != whole.measure()


def test_measures_the_first_character_behind_the_text_before_it(whole):
    before = whole.tokenizer.encode(whole.train_text).ids[-SMALL.T :]
    (first,) = whole.tokenizer.encode(whole.test_text[:1]).ids
    with torch.no_grad():
        scores = copy.deepcopy(whole.model).eval()(torch.tensor([before]))[0, -1]
    bits = -scores.log_softmax(0)[first] / math.log(2)
    assert whole.measure(1) == pytest.approx(float(bits), rel=1e-5)


def test_what_is_held_out_reaches_neither_tokeniser_nor_training(tmp_path):
    one = Project(tmp_path / "one", TEXT, SMALL)
    other = Project(tmp_path / "other", one.train_text + "z" * len(one.test_text), SMALL)
    assert other.tokenizer.to_str() == one.tokenizer.to_str()
    assert torch.equal(other.run.texts[0], one.run.texts[0])
    assert other.measure(50) != one.measure(50)


def test_the_seed_decides_about_weights_and_windows_and_leaves_other_draws_alone(tmp_path):
    before = torch.get_rng_state()
    one = Project(tmp_path / "one", TEXT, SMALL)
    other = Project(tmp_path / "other", TEXT, replace(SMALL, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(one.model.tokens.weight, other.model.tokens.weight)
    other.model.load_state_dict(one.model.state_dict())
    assert next(one.steps())["loss"] != next(other.steps())["loss"]


def test_the_model_drops_out_while_it_trains(whole):
    ids = torch.tensor([whole.tokenizer.encode("12 and 13").ids])
    assert not torch.equal(whole.model(ids), whole.model(ids))


def test_a_finished_training_takes_no_more_steps_and_its_files_stay(whole):
    written = {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()}
    assert list(Project(whole.folder, TEXT).steps()) == []
    assert {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()} == written


def test_writes_behind_the_prompt_and_the_same_again(whole):
    text = whole.write("数字 1", 12, Sampler(temperature=1.0), seed=3)
    assert text.startswith("数字 1")
    assert whole.write("数字 1", 0, GREEDY) == "数字 1"
    assert whole.write("Ω ü\n", 3, GREEDY).startswith("Ω ü\n")  # characters it has never seen
    assert text == whole.write("数字 1", 12, Sampler(temperature=1.0), seed=3)
    assert text != whole.write("数字 1", 12, Sampler(temperature=1.0), seed=4)
    assert len(whole.tokenizer.encode(whole.write("1", 30, GREEDY)).ids) > 13  # beyond its window
    assert whole.model.training
    with pytest.raises(ValueError, match="at least one character"):
        whole.write("", 3, GREEDY)


def test_refuses_another_plan_another_text_and_too_little_of_it(whole, tmp_path):
    with pytest.raises(ProjectError, match="need a plan for a new training"):
        Project(tmp_path / "new", TEXT)
    with pytest.raises(ProjectError, match="holds another plan"):
        Project(whole.folder, TEXT, replace(SMALL, D=32))
    with pytest.raises(ProjectError, match="another text"):
        Project(whole.folder, TEXT + "!")
    with pytest.raises(ProjectError, match="more than T=13 tokens"):
        Project(tmp_path / "short", "short", SMALL)
    with pytest.raises(ProjectError, match="and 0 characters"):
        Project(tmp_path / "no test", TEXT, replace(SMALL, held_out=1e-20))


# --- the command


def command(folder, *options):
    return [sys.executable, "-m", "bigmodel_lib.train_gpt", str(folder), "--threads", "1", *options]


def test_killed_the_command_goes_on_from_its_checkpoint(tmp_path):
    plan, text = tmp_path / "plan.json", tmp_path / "text.txt"
    replace(SMALL, steps=4000, save_every=20).write(plan)
    text.write_text(TEXT, encoding="utf-8")
    folder, options = tmp_path / "gpt", ("--plan", str(plan), "--text", str(text))
    process = subprocess.Popen(command(folder, *options), cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while not (folder / "run.safetensors").exists():
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = Project(folder, TEXT)
    killed_at = again.run.step
    assert 20 <= killed_at < 4000
    assert killed_at % 20 == 0
    assert next(again.steps()).step == killed_at + 1


def test_the_command_trains_measures_and_writes(tmp_path, capsys):
    plan, text = tmp_path / "plan.json", tmp_path / "text.txt"
    SMALL.write(plan)
    text.write_text(TEXT, encoding="utf-8")
    folder, options = str(tmp_path / "gpt"), ["--text", str(text), "--device", "cpu"]
    threads = ["--threads", str(torch.get_num_threads())]
    assert main([folder, *options, *threads, "--plan", str(plan)]) == 0
    assert "43 steps, held-out text: " in capsys.readouterr().out
    assert main([folder, *options, *threads, "--write", "1 and", "--tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("1 and")


def test_the_command_writes_as_it_is_asked_to(whole, tmp_path, monkeypatch, capsys):
    threads, text = [], tmp_path / "text.txt"
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    text.write_text(TEXT, encoding="utf-8")
    how = ["--tokens", "23", "--temperature", "1.7", "--seed", "5", "--threads", "3"]
    options = ["--text", str(text), "--device", "cpu", "--write", "1 and", *how]
    assert main([str(whole.folder), *options]) == 0
    wanted = whole.write("1 and", 23, Sampler(temperature=1.7), seed=5)
    assert capsys.readouterr().out == wanted + "\n"
    assert threads == [3]


def test_the_command_refuses_another_plan_for_its_folder(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_module, "language_reference", lambda: TEXT)  # without --text
    threads = ["--threads", str(torch.get_num_threads())]
    for more in ([], ["--write", "1 and"]):
        assert main([str(whole.folder), *threads, "--plan", "minute", *more]) == 1
        assert "holds another plan" in capsys.readouterr().err
    assert main([str(whole.folder), *threads, "--device", "cpu"]) == 0


def test_stopped_by_hand_the_command_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_module, "language_reference", lambda: TEXT)
    SMALL.write(tmp_path / "plan.json")
    line = [str(tmp_path), "--device", "cpu", "--threads", str(torch.get_num_threads())]

    def stopped(self, characters=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Project, "measure", stopped)
    assert main(line) == 130
    said = capsys.readouterr()
    assert "the same command goes on" in said.err
    assert "goes on after step" not in said.out
    monkeypatch.undo()
    monkeypatch.setattr(command_module, "language_reference", lambda: TEXT)
    assert main(line) == 0
    said = capsys.readouterr()
    assert f"goes on after step {SMALL.steps}" in said.out
    assert f"{SMALL.steps}/{SMALL.steps}" in said.err  # the bar begins where the training stood


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "nowhere.txt"], "nowhere.txt"),
        (["--plan", "nowhere.json"], "is not a plan"),
        (["--write", "x"], "need a plan for a new training"),
        (["--device", "abacus"], "need a device"),
    ],
)
def test_the_command_says_what_is_wrong_and_makes_nothing(options, message, tmp_path, capsys):
    folder = tmp_path / "gpt"
    threads = ["--threads", str(torch.get_num_threads())]
    assert main([str(folder), *threads, *options]) == 1
    assert message in capsys.readouterr().err
    assert not folder.exists()


class Killed(BaseException):
    """The power fails."""


@pytest.mark.parametrize("name", ["plan", "tokenizer"])
def test_killed_while_a_file_is_written_the_folder_holds_no_half_of_it(name, tmp_path, monkeypatch):
    whole_file = Path.replace

    def killed(part, target):
        if Path(target).stem == name:
            raise Killed
        return whole_file(part, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        Project(tmp_path, TEXT, SMALL)
    assert not (tmp_path / f"{name}.json").exists()
    monkeypatch.undo()
    assert Project(tmp_path, TEXT, SMALL).run.step == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "tokenizer.json"]
