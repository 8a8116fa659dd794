"""Look into a network while it runs, and change what one part of it says.

The parts are modules by their names (`model.named_modules()`). `record` keeps what they put out,
`patch` replaces it; both are context managers, and behind them the network is as it was.

Patching one activation from another run, and seeing whether the answer comes with it, tests
whether the part carries what the answer needs: Meng et al. 2022, section 2.1, arXiv:2202.05262;
Wang et al. 2023, arXiv:2211.00593.

Shapes: B batch, H heads, T length, D model width.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from bigmodel_lib.models.attention import MultiHeadAttention

Edit = Callable[[Tensor], Tensor]


@contextmanager
def record(model: nn.Module, *names: str) -> Iterator[dict[str, Tensor]]:
    """Keep what the named modules put out, of the last pass; behind a patch, what it made of it.

    Yields:
        Outputs by name, without gradients; filled when the model runs.

    Raises:
        ValueError: a module that the model does not have.
    """
    kept: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name in names:

            def keep(_module, _inputs, output, name=name):
                kept[name] = output.detach()

            hooks.enter_context(_hook(part(model, name), keep))
        yield kept


@contextmanager
def patch(model: nn.Module, edits: Mapping[str, Tensor | Edit]) -> Iterator[None]:
    """Put something else in the place of what modules put out.

    Args:
        model: what runs inside of the `with`.
        edits: by the module's name, the tensor that takes the place of its output, or a function
            of its output that makes one; of the same shape.

    Raises:
        ValueError: a module that the model does not have; when it runs, another shape.
    """
    with ExitStack() as hooks:
        for name, edit in edits.items():

            def replace(_module, _inputs, output, name=name, edit=edit):
                new = edit if isinstance(edit, Tensor) else edit(output)
                if new.shape != output.shape:
                    raise ValueError(
                        f"need {tuple(output.shape)} in the place of {name}, got {tuple(new.shape)}"
                    )
                return new

            hooks.enter_context(_hook(part(model, name), replace))
        yield


def in_head(head: int, value: Tensor) -> Edit:
    """An edit for `patch` that concerns one head only.

    Args:
        head: which, 0 … H - 1.
        value: what takes the place of its output, broadcastable to (B, T, …): from another run,
            a mean over many, or a zero.

    Returns:
        A function of all heads' output (B, H, T, …), which raises ValueError for an unknown head.
    """

    def edit(output: Tensor) -> Tensor:
        if not 0 <= head < output.shape[1]:
            raise ValueError(f"need a head in 0 … {output.shape[1] - 1}, got {head}")
        output = output.clone()
        output[:, head] = value
        return output

    return edit


def part(model: nn.Module, name: str) -> nn.Module:
    """The module of a name.

    Raises:
        ValueError: the model has none of that name.
    """
    modules = dict(model.named_modules())
    if name not in modules:
        known = ", ".join(sorted(filter(None, modules)))
        raise ValueError(f"need the name of a part, one of {known}; got {name!r}")
    return modules[name]


@contextmanager
def record_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Keep the weights of every self-attention of a model, which the fused kernel never holds.

    Each layer is computed a second time for them, with the same inputs.

    Yields:
        Weights (B, H, T, S), one for each pass through a `MultiHeadAttention`, in that order.

    Raises:
        ValueError: the model has no such layer.
    """
    layers = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    if not layers:
        raise ValueError(f"need a model with MultiHeadAttention, {type(model).__name__} has none")
    kept: list[Tensor] = []

    def keep(layer, inputs, options, _output):
        # forward itself, not the call: a call would come back to this hook
        kept.append(layer.forward(*inputs, **options | {"need_weights": True})[1].detach())

    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(_hook(layer, keep, with_kwargs=True))
        yield kept


@contextmanager
def _hook(module: nn.Module, function: Callable, **options) -> Iterator[None]:
    handle = module.register_forward_hook(function, **options)
    try:
        yield
    finally:
        handle.remove()
