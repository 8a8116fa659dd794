"""Writing on with a cache of keys and values: tokens a second, beside transformers' `generate`.

python benchmarks/generation.py [--json FILE] [--clock cpu] [--threads N] [--device cuda]
                                [--no-compile]

The same weights, greedy, batches of 1 and 8, 6 layers of width 384: both must write the same
tokens, or there are no figures. Ours is `generate` over `cached_next_logits`, with the GPT as it
is and, on a CPU, with packed matrices and with compiled layers (packing and compiling are timed
apart: they are done once a model). Theirs is `generate` with its growing cache and with its static
one, and with the static one and a compiled forward pass.

The row "matrices alone" multiplies as many vectors as there are sequences by each matrix of the
model, once a token, and does nothing else: with PyTorch's own kernels nothing can be faster. The
row "memory alone" adds up all the model's numbers as often: it reads each once, and that is all.
"""

import argparse
import itertools
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.models.compiled import CompiledGPT
from bigmodel_lib.models.packed import PackedGPT, PackedLinear, can_pack
from bigmodel_lib.models.sampling import cached_next_logits, generate
from bigmodel_lib.models.transformer import GPT, GPTConfig
from side_by_side import CLOCKS, alternate, parser, ratio, save, table, timing

SHAPE = GPTConfig(V=256, T=256, L=6, D=384, H=6)
BATCHES, PROMPT, TOKENS = (1, 8), 16, 64
Write = Callable[[], Tensor]


def our_writer(model: GPT, prompts: Tensor, tokens: int) -> Write:
    @torch.inference_mode()
    def write() -> Tensor:
        drawn = itertools.islice(generate(cached_next_logits(model), prompts), tokens)
        return torch.stack(list(drawn), dim=1)

    return write


def their_writer(model: nn.Module, prompts: Tensor, tokens: int, **options) -> Write:
    options |= {"attention_mask": torch.ones_like(prompts), "max_new_tokens": tokens}
    options |= {"do_sample": False, "use_cache": True}
    return lambda: model.generate(prompts, **options)[:, prompts.shape[1] :]


def matrices(model: GPT, B: int, tokens: int) -> Callable[[], None]:
    """Vectors times each matrix, packed where it can be, as often as tokens are written."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    weights = [weight.detach() for weight in [*weights, model.tokens.weight]]
    inputs = [torch.randn(B, weight.shape[1], device=weight.device) for weight in weights]
    pairs = [
        (PackedLinear(w) if can_pack(w) else w, x) for w, x in zip(weights, inputs, strict=True)
    ]

    @torch.inference_mode()
    def read() -> None:
        for _ in range(tokens):
            for weight, x in pairs:
                weight(x) if isinstance(weight, nn.Module) else F.linear(x, weight)

    return read


def memory(model: GPT, tokens: int) -> Callable[[], None]:
    """Add up all weights, as often as tokens are written."""
    numbers = torch.cat([weight.detach().flatten() for weight in model.parameters()])

    def read() -> None:
        for _ in range(tokens):
            numbers.sum()

    return read


def our_candidates(model: GPT, prompts: Tensor, tokens: int, *, compile: bool) -> dict[str, Write]:
    """From name to what writes so many tokens behind the prompts (B, T)."""
    models = {"ours": model}
    if can_pack(model.tokens.weight):
        models = {"ours, packed": PackedGPT(model)} | models
    if can_pack(model.tokens.weight) and compile:
        models = {"ours, compiled": CompiledGPT(model)} | models
    return {name: our_writer(made, prompts, tokens) for name, made in models.items()}


def their_candidates(
    model: GPT, prompts: Tensor, tokens: int, *, compile: bool
) -> dict[str, Write]:
    """The same of the peer's."""
    from gpt2_peer import as_gpt2  # the rest of this file does without the peer

    found, static = {}, {"cache_implementation": "static"}
    for name, options in (("dynamic cache", {}), ("static cache", static)):
        theirs = as_gpt2(model).eval()
        found[f"transformers, {name}"] = their_writer(theirs, prompts, tokens, **options)
    if compile:
        theirs = as_gpt2(model).eval()
        theirs.forward = torch.compile(theirs.forward)
        found["transformers, static, compiled"] = their_writer(theirs, prompts, tokens, **static)
    return found


def candidates(
    model: GPT, prompts: Tensor, tokens: int, *, compile: bool
) -> dict[str, Callable[[], object]]:
    """All writers, which write the same, and what bounds them."""
    inputs = model, prompts, tokens
    found = our_candidates(*inputs, compile=compile) | their_candidates(*inputs, compile=compile)
    check_same(found)
    bounds = {"matrices alone": matrices(model, len(prompts), tokens)}
    return found | bounds | {"memory alone": memory(model, tokens)}


def check_same(writers: dict[str, Write]) -> None:
    """Raise RuntimeError unless all of them write the same tokens."""
    texts = {name: write() for name, write in writers.items()}
    first = next(iter(texts.values()))
    others = [name for name, text in texts.items() if not torch.equal(text, first)]
    if others:
        raise RuntimeError(f"need the same tokens from all, others came from {others}")


def compare(model: GPT, B: int, tokens: int, args: argparse.Namespace) -> dict[str, dict]:
    """Figures of each candidate: tokens a second, and its time over that of the first of ours."""
    device = model.tokens.weight.device
    prompts = torch.randint(model.config.V, (B, PROMPT), device=device)
    writers = candidates(model, prompts, tokens, compile=args.compile)
    options = {"seconds": args.seconds, "device": device, "clock": CLOCKS[args.clock]}
    times = alternate(writers, **options)
    ours = next(iter(times.values()))
    return {
        name: {"tokens a second": B * tokens / min(taken), **ratio(taken, ours)}
        for name, taken in times.items()
    }


def seconds_to_pack(model: GPT) -> float:
    start = time.perf_counter()
    PackedGPT(model)
    return time.perf_counter() - start


def seconds_to_compile(model: GPT) -> float:
    """For one batch size; much less where PyTorch's cache of compiled code has it already."""
    writer = our_writer(CompiledGPT(model), torch.zeros(1, PROMPT, dtype=torch.int64), 2)
    start = time.perf_counter()
    writer()
    return time.perf_counter() - start


def main() -> None:
    made = parser(__doc__)
    timing(made, seconds=60)
    made.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    args = made.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = GPT(SHAPE).to(args.device).eval()
    packing = seconds_to_pack(model) if can_pack(model.tokens.weight) else None
    compiling = seconds_to_compile(model) if packing and args.compile else None
    figures = {f"B={B}": compare(model, B, TOKENS, args) for B in BATCHES}
    threads = torch.get_num_threads()
    print(
        f"{TOKENS} tokens behind {PROMPT}, {args.device}, threads: {threads}, {args.clock} time\n"
    )
    head = ["batch", "what", "its time / ours", "quartiles", "rounds", "tokens a second, best"]
    rows = [
        (
            *(batch, name, f"{row['median']:.2f}", f"{row['lower']:.2f} … {row['upper']:.2f}"),
            *(row["rounds"], f"{row['tokens a second']:,.0f}"),
        )
        for batch, rows in figures.items()
        for name, row in rows.items()
    ]
    print(table(head, rows))
    if packing:
        print(f"\nPacking the matrices, once a model: {1000 * packing:.0f} ms")
    if compiling:
        print(f"Compiling its layers, once a model and batch size: {compiling:.0f} s")
    if args.device == "cpu":
        print("No accelerator asked for: --device cuda times the same there.")
    once = {"packing": packing, "compiling": compiling}
    save(args.json, {"device": args.device, "clock": args.clock, **once, **figures})


if __name__ == "__main__":
    main()
