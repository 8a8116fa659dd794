"""How cost grows: seconds over a size, the power that fits best, and the power that theory says.

Attention over its length; a GPT's training step over width and depth; AttentionExplorer's
picture over tokens and heads. The sizes of a row are measured in turns. Small sizes are bound by
calls, so a power below the theory's means that arithmetic does not yet decide.
"""

from collections.abc import Callable
from statistics import median

import torch

from bigmodel_lib.models.attention import attention, fused_attention
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.text import TextRun, TextSettings
from bigmodel_lib.widgets import AttentionExplorer
from side_by_side import CLOCKS, alternate, exponent, parser, save, table


def attend(function: Callable, T: int) -> Callable:
    """Forward and backward of attention over T tokens."""
    q, k, v = (torch.randn(1, 4, T, 32, requires_grad=True) for _ in range(3))

    def step():
        result = function(q, k, v)
        (result[0] if isinstance(result, tuple) else result).sum().backward()

    return step


def train(D: int = 128, L: int = 2) -> Callable:
    """A training step of a GPT."""
    model = GPT(GPTConfig(V=256, T=64, L=L, D=D, H=4))
    settings = TextSettings(batch_size=8, length=64)
    return TextRun(model, torch.randint(256, (5000,)), settings=settings, check_every=50).__next__


def explore(T: int = 16, H: int = 4) -> Callable:
    """A change of AttentionExplorer's temperature."""
    text = "the quick brown fox jumps over the lazy dog and runs away again."[:T]
    lab = AttentionExplorer(text=text, split="characters", H=H, d=16, D=16 * H)
    lab.run()

    def step():
        control = lab.controls["temperature"]
        control.value = 2.0 if control.value == 1.0 else 1.0
        lab._tick()
        if lab.error is not None:
            raise lab.error

    return step


# what → (size, sizes, cost at a size, theory)
ROWS = {
    "attention by the formula": (
        "length", (512, 1024, 2048), lambda T: attend(attention, T), "2"),
    "fused attention": ("length", (512, 1024, 2048), lambda T: attend(fused_attention, T), "2"),
    "GPT, training step": ("width", (256, 512, 1024), lambda D: train(D=D), "1 to 2: L D² + V D"),
    "GPT, training step ": ("layers", (2, 4, 8), lambda L: train(L=L), "1"),
    "AttentionExplorer": ("tokens", (8, 16, 32, 64), lambda T: explore(T=T), "0 to 2"),
    "AttentionExplorer ": ("heads", (2, 4, 8, 16), lambda H: explore(H=H), "0 to 1"),
}  # fmt: skip


def measure(what: str, seconds: float, clock, sizes=None) -> dict[str, object]:
    """Seconds at each size and the power of the size that fits best."""
    size, usual, make, theory = ROWS[what]
    sizes = sizes or usual
    steps = {str(n): make(n) for n in sizes}
    times = alternate(steps, seconds=seconds, device=torch.device("cpu"), clock=clock)
    cost = [median(times[str(n)]) for n in sizes]
    fit = exponent(sizes, cost)
    return {"size": size, "sizes": sizes, "seconds": cost, "power": fit, "theory": theory}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=60.0, help="of each row, about")
    options.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a busy machine")
    options = options.parse_args()
    torch.set_num_threads(1)  # so that a number of threads does not change with the size
    figures = {what: measure(what, options.seconds, CLOCKS[options.clock]) for what in ROWS}
    rows = [
        [what, one["size"], ", ".join(map(str, one["sizes"])),
         ", ".join(f"{1000 * s:.3g}" for s in one["seconds"]), f"{one['power']:.2f}", one["theory"]]
        for what, one in figures.items()
    ]  # fmt: skip
    print(table(["what", "over", "sizes", "ms", "power", "theory"], rows))
    save(options.json, figures)


if __name__ == "__main__":
    main()
