"""Training a GPT: tokens a second, beside the GPT-2 of Hugging Face's transformers.

python benchmarks/gpt_training.py [--json FILE] [--clock cpu] [--threads N] [--device cuda]

On a CPU a shape of 6 layers, width 384 and context 256, with bytes as tokens and with GPT-2's
vocabulary; on an accelerator GPT-2 124M in bfloat16, eager and compiled, with its model FLOPs
utilisation: what the products of the model take, over what the device could do in that time.

Ours is `TextRun`, with all that a step of it does: drawing the batch, the record, the check for
values that are not finite, the snapshots. On a CPU it stands there twice: as it comes, and with
what the library has for speed, `OneDNNProducts`, and scores of 512 positions at a time where the
vocabulary is large. Theirs is the loop that their users write, on batches
of the same kind: once with the class and AdamW as they come, once with the exact GELU, which is
one kernel, and the fused AdamW, as ours has. Precision, threads and dropout (none) are the same.

The rows "products alone" take nothing but the matrix products of the linear maps in such a step,
by PyTorch's choice of a library and by oneDNN where ours takes it; the last one has PyTorch's
attention kernel besides, forward and backward. In this precision nothing can be faster: they say
how much is left to gain.
"""

import argparse
import contextlib
import copy
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from bigmodel_lib.costs import DEVICES
from bigmodel_lib.counting import training_flops
from bigmodel_lib.models.onednn import OneDNNProducts
from bigmodel_lib.models.transformer import GPT, GPT2_SMALL, GPTConfig
from bigmodel_lib.training.text import TextRun, TextSettings
from side_by_side import CLOCKS, alternate, parser, ratio, save, table, timing

SHAPE = GPTConfig(V=256, T=256, L=6, D=384, H=6)
SHAPES = {"bytes": SHAPE, "GPT-2's vocabulary": replace(SHAPE, V=GPT2_SMALL.V)}
BATCH = {"cpu": 4, "accelerator": 16}
LR = 1e-4
THEIRS = {  # activation and AdamW's options
    "transformers, as it comes": ("gelu_new", {}),
    "transformers, at its best": ("gelu", {"fused": True}),
}
LARGE, ROWS = 10_000, 512  # from such a vocabulary on, so many positions are scored at a time
Step = Callable[[], object]


def a_text(config: GPTConfig, device: torch.device) -> Tensor:
    """Tokens at random: what a step takes does not depend on what they say."""
    return torch.randint(config.V, (100 * config.T,), device=device)


def our_step(model: nn.Module, text: Tensor, B: int, T: int, rows: int | None = None) -> Step:
    settings = TextSettings(batch_size=B, length=T, lr=LR)
    # a look at the values waits for the device: on a CPU it costs nothing
    every = 1 if text.device.type == "cpu" else 20
    run = TextRun(model, text, settings=settings, rows=rows, check_every=every)
    return lambda: next(run)


def by_onednn(step: Step) -> Step:
    """The step with oneDNN's products."""

    def faster():
        with OneDNNProducts():
            return step()

    return faster


def their_step(model: nn.Module, text: Tensor, B: int, T: int, **options) -> Step:
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=LR, **options)

    def step():
        starts = torch.randint(len(text) - T, (B, 1))
        ids = text[(starts + torch.arange(T)).to(text.device)]
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def products(model: GPT, rows: int) -> Step:
    """All matrix products of the linear maps in a step: forward, and for both gradients."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    weights = [weight.detach() for weight in [*weights, model.tokens.weight]]
    pairs = [tuple(torch.randn(rows, n, device=w.device) for n in w.T.shape) for w in weights]

    @torch.no_grad()
    def step():
        for weight, (x, g) in zip(weights, pairs, strict=True):
            F.linear(x, weight), F.linear(g, weight.T), g.T @ x

    return step


def attention(config: GPTConfig, B: int, device: torch.device) -> Step:
    """PyTorch's attention kernel for each layer, forward and backward."""
    shape = B, config.H, config.T, config.D // config.H
    q, k, v, g = (torch.randn(shape, device=device, requires_grad=i < 3) for i in range(4))

    def step():
        for _layer in range(config.L):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            torch.autograd.grad(y, (q, k, v), g)

    return step


def candidates(config: GPTConfig, B: int, device: torch.device, *, compiled: bool) -> dict:
    """From name to a step on a batch (B, T); checks that all models say the same to begin with."""
    from gpt2_peer import as_gpt2  # the rest of this file does without the peer

    ours, text = GPT(config).to(device), a_text(config, device)
    made = {"ours": our_step(ours, text, B, config.T)}
    if device.type == "cpu":
        rows = ROWS if config.V >= LARGE else None
        fast = by_onednn(our_step(copy.deepcopy(ours), text, B, config.T, rows))
        made = {"ours, for speed": fast, **made}
    for name, (activation, options) in THEIRS.items():
        theirs = as_gpt2(ours, activation)
        agree(ours, theirs, text[None, : config.T], 1e-5 if activation == "gelu" else 1e-2)
        made[name] = their_step(theirs, text, B, config.T, **options)
    if device.type == "cpu":
        alone = products(ours, B * config.T)
        fast, kernels = by_onednn(alone), attention(config, B, device)
        made |= {"products alone": alone, "products alone, by oneDNN": fast}
        made["these and attention alone"] = lambda: (fast(), kernels())
    if compiled:
        best = list(THEIRS)[-1]
        made["ours, compiled"] = our_step(torch.compile(ours), text, B, config.T)
        options = THEIRS[best][1]
        made[f"{best}, compiled"] = their_step(
            torch.compile(as_gpt2(ours)), text, B, config.T, **options
        )
    return made


@torch.no_grad()
def agree(ours: GPT, theirs: nn.Module, ids: Tensor, tolerance: float) -> None:
    """Raise AssertionError if the two score a text otherwise."""
    scores = theirs.eval()(input_ids=ids, use_cache=False).logits
    assert_close(scores, ours.eval()(ids), rtol=tolerance, atol=tolerance)
    ours.train(), theirs.train()


def casting(device: torch.device):
    """bfloat16 for the products on an accelerator; nothing on a CPU."""
    if device.type == "cpu":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def utilisation(config: GPTConfig, tokens_a_second: float, name: str) -> float | None:
    """Model FLOPs utilisation on a device that `costs.DEVICES` knows, else None."""
    known = [device for key, device in DEVICES.items() if key in name]
    if not known:
        return None
    return training_flops(config).total * tokens_a_second / known[0].flops


def compare(config: GPTConfig, B: int, device: torch.device, args: argparse.Namespace) -> dict:
    """Figures of each candidate: tokens a second, and its time over that of the first of ours."""
    with casting(device):
        steps = candidates(config, B, device, compiled=args.compile)
        options = {"seconds": args.seconds, "device": device, "clock": CLOCKS[args.clock]}
        times = alternate(steps, **options)
    ours = next(iter(times.values()))
    return {
        name: {"tokens a second": B * config.T / min(taken), **ratio(taken, ours)}
        for name, taken in times.items()
    }


def print_rows(title: str, figures: dict[str, dict], config: GPTConfig, device: torch.device):
    rows = []
    accelerator = device.type != "cpu"
    where = torch.get_device_module(device).get_device_name() if accelerator else "CPU"
    for name, row in figures.items():
        speed, against = row["tokens a second"], f"{row['median']:.2f}"
        row["utilisation"] = utilisation(config, speed, where) if accelerator else None
        used = "" if row["utilisation"] is None else f"{row['utilisation']:.1%}"
        spread = f"{row['lower']:.2f} … {row['upper']:.2f}"
        rows.append((name, against, spread, row["rounds"], f"{speed:,.0f}", used))
    print(f"\n{title}, on {where}: {config}\n")
    head = ["what", "its time / the first", "quartiles", "rounds", "tokens a second, best", "MFU"]
    print(table(head, rows))


def main() -> None:
    made = parser(__doc__)
    timing(made, seconds=60)
    made.add_argument("--compile", action="store_true", help="compiled as well; always on a GPU")
    args = made.parse_args()
    device = torch.device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    on_cpu = device.type == "cpu"
    args.compile = args.compile or not on_cpu
    shapes = SHAPES if on_cpu else {"GPT-2 124M": GPT2_SMALL}
    B = BATCH["cpu" if on_cpu else "accelerator"]
    figures = {}
    for title, config in shapes.items():
        figures[title] = compare(config, B, device, args)
        print_rows(f"{title}, B={B}, {args.clock} time", figures[title], config, device)
    if on_cpu:
        print("\nNo accelerator asked for: --device cuda trains GPT-2 124M and states its MFU.")
    save(args.json, {"device": device.type, "clock": args.clock, "B": B, "times": figures})


if __name__ == "__main__":
    main()
