"""Train a small GPT with any number of workers: `python -m bigmodel_lib.distributed.train FOLDER`.

Started by `torchrun`, it is one worker of many; started by python, the only one. It saves every
few steps, and goes on from the checkpoint that it finds, so a restart needs no other command.
"""

import os
import signal
import sys

import torch

from bigmodel_lib.data.text import language_reference
from bigmodel_lib.distributed.journal import journal
from bigmodel_lib.distributed.options import DTYPES, Options
from bigmodel_lib.distributed.run import WorkerRun, local_bytes
from bigmodel_lib.distributed.worker import Worker, joined
from bigmodel_lib.models.transformer import GPT


def main(options: Options) -> None:
    """Join the other workers, train by each strategy in turn, and leave."""
    with joined(options.device, options.patience) as worker:
        for one in options.each():
            train(one, worker)


def train(options: Options, worker: Worker) -> WorkerRun:
    """This worker's share of a run, from the last checkpoint if there is one.

    Args:
        options: with one strategy.
        worker: who this process is.

    Returns:
        The run at its last step.
    """
    run = make_run(options, worker)
    if options.checkpoint.exists():
        run.load(options.checkpoint)
    with journal(options.folder, worker.rank, attempt=worker.attempt) as book:
        book.note(begins=run.step, world=worker.world)
        for record in run.take(options.steps - run.step):
            book.note(step=record.step, loss=record["loss"])
            if record.step % options.save_every == 0 or record.step == options.steps:
                book.note(held=held_bytes(run))
                run.save(options.checkpoint)
            fire_drill(options, worker, record.step)
    return run


def make_run(options: Options, worker: Worker) -> WorkerRun:
    """The run at its first step, the same on all workers."""
    torch.manual_seed(options.seed)
    model = GPT(options.config).to(worker.device, DTYPES[options.dtype])
    ids = torch.tensor(list(language_reference().encode()))  # tokens are bytes
    keep_every = options.steps + 1  # a restart goes on from the disk, so no copies in memory
    return WorkerRun(
        model,
        ids,
        worker,
        options.strategy,
        settings=options.settings,
        seed=options.seed,
        keep_every=keep_every,
    )


def held_bytes(run: WorkerRun) -> dict[str, int]:
    """Bytes of weights, gradients and Adam's moments on this worker, after a step."""
    weights = list(run.modules["model"].parameters())
    states = run.optimizers["optimizer"].state.values()
    return {
        "weights": sum(local_bytes(weight) for weight in weights),
        "gradients": sum(local_bytes(weight.grad) for weight in weights),
        "moments": sum(local_bytes(s["exp_avg"]) + local_bytes(s["exp_avg_sq"]) for s in states),
    }


def fire_drill(options: Options, worker: Worker, step: int) -> None:
    """If it is this worker's turn to die, die: without a word, as by an accident, and once."""
    if options.kill_rank < 0 or step != options.kill_step:
        return
    worker.wait()  # until all have noted the step, so that every drill goes the same way
    if worker.rank != options.kill_rank:
        return
    try:
        (options.folder / "drill").touch(exist_ok=False)
    except FileExistsError:
        return  # it was held before the restart
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    """End this process at once, its work done and written.

    Not by the interpreter's own end: a thread of PyTorch that asks for the interpreter while it
    closes is cut off inside C++, and now and then the process then aborts ("terminate called
    without an active exception"), which torchrun must take for a failure of the training.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Options.parse())
    leave()
