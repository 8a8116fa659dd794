"""Train your own GPT from raw text, go on after a kill, write with it.

    python -m bigmodel_lib.train_gpt my_gpt --text book.txt
    python -m bigmodel_lib.train_gpt my_gpt --text book.txt --write "Once upon"

Without --text it learns CPython's language reference, which needs no download. The same command
continues what was interrupted. The plans differ in size only: "minute" is for two cores,
"GPT-2 small" for a GPU and a large text.
"""

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.device import pick_device
from bigmodel_lib.models.sampling import Sampler
from bigmodel_lib.train_gpt import PLANS, Plan, Project
from bigmodel_lib.training.checkpoint import CheckpointError


def main(arguments: list[str] | None = None) -> int:
    """Train or write; the exit code is 1 where the folder, the plan or the text does not fit."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        project = opened(options)
        if options.write is None:
            train(project)
        else:
            sampler = Sampler(temperature=options.temperature)
            print(project.write(options.write, options.tokens, sampler, options.seed))
    except (CheckpointError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bigmodel_lib.train_gpt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, help="holds plan, tokeniser and checkpoint; made if needed")
    add("--text", type=Path, help="a file in UTF-8 to learn from")
    add("--plan", help=f"{', '.join(PLANS)}, or a JSON file (default: minute, or the folder's)")
    add("--device", help="such as cpu or cuda:0 (default: the best there is)")
    add("--threads", type=int, default=torch.get_num_threads(), help="on a CPU (%(default)s)")
    add("--write", metavar="PROMPT", help="do not train: continue this prompt")
    add("--tokens", type=int, default=100, help="to write (%(default)s)")
    add("--temperature", type=float, default=0.8, help="of the draw (%(default)s)")
    add("--seed", type=int, default=0, help="of the draw (%(default)s)")
    return parser


def opened(options: argparse.Namespace) -> Project:
    """The project that the options name.

    Raises:
        CheckpointError, ValueError, OSError: text, plan or folder cannot be used.
    """
    text = language_reference() if options.text is None else options.text.read_text("utf-8")
    new = options.write is None and not (options.folder / "plan.json").exists()
    plan = chosen(options.plan or "minute") if new or options.plan else None
    return Project(options.folder, text, plan, pick_device(options.device))


def chosen(name: str) -> Plan:
    """A plan by its name, or from a file."""
    return PLANS[name] if name in PLANS else Plan.read(Path(name))


def train(project: Project) -> None:
    """Train to the end with a bar, and say what the model is worth."""
    plan, first = project.plan, project.run.step
    if first:
        print(f"goes on after step {first}")
    bar = tqdm(project.steps(), total=plan.steps, initial=first, unit="step")
    for record in bar:
        if record.step % 10 == 0:
            bar.set_postfix(nats_a_token=f"{record['loss']:.2f}", refresh=False)
    print(f"{plan.steps} steps, held-out text: {project.measure():.3f} bits a character")
    print(project.write("\n", 80, Sampler(temperature=0.8)))


if __name__ == "__main__":
    sys.exit(main())
