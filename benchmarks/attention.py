"""Our attention beside PyTorch's, forward and backward, over the length of the sequence.

python benchmarks/attention.py [--json FILE] [--device cuda]

Two comparisons of time. `fused_attention` beside `F.scaled_dot_product_attention`, which it
calls: what our checks cost. `MultiHeadAttention` beside what a user would take instead, which is
`nn.MultiheadAttention` or the same two linear maps around PyTorch's kernel written by hand.

And one of memory, on the CPU: the peak of all tensors during forward and backward, inputs not
counted, of the formula and of the fused kernel, with the power of the length that it grows by.
The fused kernel's power is a little below 1, since from T=1024 its scratch memory has one size.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.models.attention import MultiHeadAttention, attention, fused_attention
from side_by_side import alternate, arguments, exponent, peak_bytes, ratio, save, table

B, H, d = 2, 4, 32
D = H * d
LENGTHS = [128, 512, 1024, 2048, 4096]
SECONDS = 3.0  # a length and comparison, about; more where five rounds take longer
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
    ours = MultiHeadAttention(D, H).to(device)
    theirs = nn.MultiheadAttention(D, H, batch_first=True).to(device)
    qkv, out = nn.Linear(D, 3 * D).to(device), nn.Linear(D, D).to(device)
    return {
        "ours": lambda: backward(ours(x)),
        "nn.MultiheadAttention": lambda: backward(theirs(x, x, x, need_weights=False)[0]),
        "linear maps by hand": lambda: backward(by_hand(x, qkv, out)),
    }


def compare_times(device: torch.device) -> list[dict]:
    rows = []
    for build in (functions, layers):
        for T in LENGTHS:
            times = alternate(build(T, device), seconds=SECONDS, device=device)
            ours = times.pop("ours")
            rows += [
                {"T": T, "theirs": name, **ratio(ours, other), "milliseconds": 1e3 * min(ours)}
                for name, other in times.items()
            ]
    return rows


def peak_of(attend: Callable, T: int) -> int:
    q, k, v = (torch.randn(1, 2, T, d, requires_grad=True) for _ in range(3))
    return peak_bytes(lambda: backward(attend(q, k, v)))


def compare_memory() -> dict[str, dict]:
    paths = {"formula": lambda *qkv: attention(*qkv)[0], "fused": fused_attention}
    peaks = {name: [peak_of(attend, T) for T in LENGTHS] for name, attend in paths.items()}
    first = LENGTHS.index(LONG)
    return {
        name: {"bytes": peak, "exponent": exponent(LENGTHS[first:], peak[first:])}
        for name, peak in peaks.items()
    }


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    device = torch.device(args.device)
    torch.manual_seed(0)
    times, memory = compare_times(device), compare_memory()
    print(f"Time of forward and backward, B={B}, H={H}, d={d}, {device.type}: ours / theirs\n")
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
    print(f"\nPeak memory of forward and backward, B=1, H=2, d={d}, CPU, in MB\n")
    print(
        table(
            ["path", *(f"T={T}" for T in LENGTHS), f"power of T, from {LONG}"],
            [
                (name, *(f"{x / 1e6:.2f}" for x in row["bytes"]), f"{row['exponent']:.2f}")
                for name, row in memory.items()
            ],
        )
    )
    save(args.json, {"device": device.type, "times": times, "memory": memory})


if __name__ == "__main__":
    main()
