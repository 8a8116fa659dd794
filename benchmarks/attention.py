"""Our attention beside PyTorch's, forward and backward, over the length of the sequence.

python benchmarks/attention.py [--json FILE] [--clock cpu] [--threads N] [--device cuda]

Two comparisons of time. `fused_attention` beside `F.scaled_dot_product_attention`, which it
calls: what our checks cost. `MultiHeadAttention` beside what a user would take instead, which is
`nn.MultiheadAttention`, x-transformers' `Attention` with its fused path, or the same two linear
maps around PyTorch's kernel written by hand. On an accelerator the lengths go on to 32,768.

And one of memory, on the CPU: the peak of all tensors during forward and backward, inputs not
counted, of the formula, the fused kernel, and the layers, with the power of the length that it
grows by. The fused kernel's power is a little below 1, since from T=1024 its scratch memory has
one size.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.models.attention import MultiHeadAttention, attention, fused_attention
from side_by_side import CLOCKS, alternate, exponent, parser, peak_bytes, ratio, save, table, timing

B, H, d = 2, 4, 32
D = H * d
LENGTHS = [128, 256, 512, 1024, 2048, 4096]
LONGER = [8192, 16384, 32768]  # on an accelerator
LONG = 512  # shorter than this, what grows with T alone still counts against T²


def backward(output: Tensor) -> None:
    # no sum() before it: a gradient of ones without strides would send kernels another way
    output.backward(torch.ones_like(output))


def functions(T: int, device: torch.device):
    q, k, v = (torch.randn(B, H, T, d, device=device, requires_grad=True) for _ in range(3))
    return {
        "ours": lambda: backward(fused_attention(q, k, v)),
        "F.scaled_dot_product_attention": lambda: backward(F.scaled_dot_product_attention(q, k, v)),
    }


def by_hand(x: Tensor, qkv: nn.Linear, out: nn.Linear) -> Tensor:
    q, k, v = (y.view(*y.shape[:2], H, d).transpose(1, 2) for y in qkv(x).chunk(3, dim=-1))
    y = F.scaled_dot_product_attention(q, k, v)
    return out(y.transpose(1, 2).reshape(x.shape))


def layers(T: int, device: torch.device):
    x = torch.randn(B, T, D, device=device, requires_grad=True)
    return {name: lambda run=run: backward(run(x)) for name, run in make_layers(device).items()}


def make_layers(device: torch.device) -> dict[str, Callable[[Tensor], Tensor]]:
    """From name to a layer of H heads, (B, T, D) to (B, T, D)."""
    theirs = nn.MultiheadAttention(D, H, batch_first=True).to(device)
    qkv, out = nn.Linear(D, 3 * D).to(device), nn.Linear(D, D).to(device)
    made = {
        "ours": MultiHeadAttention(D, H).to(device),
        "nn.MultiheadAttention": lambda x: theirs(x, x, x, need_weights=False)[0],
        "linear maps by hand": lambda x: by_hand(x, qkv, out),
    }
    if find_spec("x_transformers"):
        from x_transformers.x_transformers import Attention

        peer = Attention(D, dim_head=d, heads=H, flash=True).to(device)
        made["x-transformers"] = peer
    else:
        print("x-transformers is not installed here: `make bench-attention` has it")
    return made


def compare_times(args: argparse.Namespace, lengths: list[int]) -> list[dict]:
    rows, device = [], torch.device(args.device)
    options = {"seconds": args.seconds, "device": device, "clock": CLOCKS[args.clock]}
    for build in (functions, layers):
        for T in lengths:
            times = alternate(build(T, device), **options)
            ours = times.pop("ours")
            rows += [
                {"T": T, "theirs": name, **ratio(ours, other), "milliseconds": 1e3 * min(ours)}
                for name, other in times.items()
            ]
    return rows


def peak_of(attend: Callable, T: int) -> int:
    q, k, v = (torch.randn(1, 2, T, d, requires_grad=True) for _ in range(3))
    return peak_bytes(lambda: backward(attend(q, k, v)))


def peak_of_layer(run: Callable[[Tensor], Tensor], T: int) -> int:
    x = torch.randn(1, T, D, requires_grad=True)
    return peak_bytes(lambda: backward(run(x)))


def compare_memory(lengths: list[int]) -> dict[str, dict]:
    """Peak bytes at each length, by path, and the power of T that they grow by."""
    paths = {"formula": lambda *qkv: attention(*qkv)[0], "fused": fused_attention}
    peaks = {name: [peak_of(attend, T) for T in lengths] for name, attend in paths.items()}
    for name, run in make_layers(torch.device("cpu")).items():
        name = "our layer" if name == "ours" else name
        peaks[name] = [peak_of_layer(run, T) for T in lengths]
    long = [i for i, T in enumerate(lengths) if T >= LONG]
    return {
        name: {
            "bytes": peak,
            "exponent": exponent([lengths[i] for i in long], [peak[i] for i in long]),
        }
        for name, peak in peaks.items()
    }


def main() -> None:
    made = parser(__doc__)
    timing(made, seconds=5)
    args = made.parse_args()
    device = torch.device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    longer = [] if device.type == "cpu" else LONGER
    times, memory = compare_times(args, LENGTHS + longer), compare_memory(LENGTHS)
    where = f"{device.type}, {args.clock} time"
    print(f"Forward and backward, B={B}, H={H}, d={d}, {where}: ours / theirs\n")
    print(
        table(
            ["T", "theirs", "median ratio", "quartiles", "rounds", "ours, best (ms)"],
            [
                (
                    *(row["T"], row["theirs"], f"{row['median']:.2f}"),
                    *(f"{row['lower']:.2f} … {row['upper']:.2f}", row["rounds"]),
                    f"{row['milliseconds']:.2f}",
                )
                for row in times
            ],
        )
    )
    shapes = f"functions B=1, H=2, d={d}, layers B=1, H={H}, D={D}"
    print(f"\nPeak memory of forward and backward, CPU, in MB: {shapes}\n")
    print(
        table(
            ["path", *(f"T={T}" for T in LENGTHS), f"power of T, from {LONG}"],
            [
                (name, *(f"{x / 1e6:.2f}" for x in row["bytes"]), f"{row['exponent']:.2f}")
                for name, row in memory.items()
            ],
        )
    )
    if not longer:
        print("\nNo accelerator asked for: --device cuda goes on to 32,768.")
    save(args.json, {"device": device.type, "clock": args.clock, "times": times, "memory": memory})


if __name__ == "__main__":
    main()
