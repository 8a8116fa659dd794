"""Adversarial training with the whole step in one compiled graph."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vjp
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from bigmodel_lib.models.gan import LOSSES
from bigmodel_lib.training.gan import GANRun
from bigmodel_lib.training.run import Snapshot

EPSILON = 1e-8  # of Adam, as torch.optim.Adam has it


def traced(step: Callable, arguments: tuple) -> GraphModule:
    """The operators of a step on tensors of these shapes; nothing is computed, nothing changed."""
    return make_fx(step, tracing_mode="fake")(*arguments)


def whole_graph(step: Callable, arguments: tuple) -> Callable:
    """Compile a step for tensors of these shapes; on a CPU with a C++ compiler, and some seconds.

    PyTorch's compiler does not work from a folder with a space in its name. The step is handed
    over as a graph, where `torch.compile` would check at each call that all tensors are of the
    same kind as ever: that takes as long as two of the matrix products.
    """
    from torch import _inductor  # takes a second to import

    return _inductor.compile(traced(step, arguments), list(arguments))


class CompiledGANRun(GANRun):
    """`GANRun`, faster where it is bound by overhead: one graph instead of some 300 calls.

    Same random numbers, same losses, same updates up to rounding; a test holds them equal.
    Both updates and both of Adam's (Kingma & Ba 2015, algorithm 1, arXiv:1412.6980) are written
    as functions of their parameters, because a compiler sees through these. A graph is for one
    loss and one batch size: what else the settings hold may change freely.

    Args:
        compile: how; the default is `whole_graph`.
        others: as for `GANRun`.

    Raises:
        ValueError: what the graph has no place for: labels, batch norm, a gradient penalty,
            several discriminator updates a step.
    """

    def __init__(self, *networks_and_data, compile: Callable = whole_graph, **others):
        super().__init__(*networks_and_data, **others)
        self._check_graph()
        self._compile, self._graphs = compile, {}
        for optimizer in self.optimizers.values():
            for p in optimizer.param_groups[0]["params"]:
                optimizer.state[p] = {
                    "step": torch.zeros((), dtype=torch.float32, device=p.device),
                    "exp_avg": torch.zeros_like(p),
                    "exp_avg_sq": torch.zeros_like(p),
                }
        self._state = self._read_state()
        self.snapshots.clear()
        self.keep_snapshot()  # with Adam's moments in it

    def restore(self, snapshot: Snapshot) -> None:
        """As `Run.restore`."""
        super().restore(snapshot)
        self._state = self._read_state()  # the optimisers hold new tensors

    def train_step(self) -> dict[str, Tensor]:
        """D's update, then G's, on the same fake images."""
        s = self.settings
        kind = s.loss, s.batch_size, s.d_steps
        if kind not in self._graphs:
            self._check_graph()  # before a number is drawn: what is refused changes nothing
        z = torch.randn(s.batch_size, self.Z, device=self.device)
        index = torch.randint(len(self.data), (len(z),), device=self.device)
        arguments = z, self.data.images, index, *self._rates(), *self._state
        if kind not in self._graphs:
            self._graphs[kind] = self._compile(partial(self._graph, s.loss), arguments)
        return self._graphs[kind](*arguments)

    def _rates(self) -> tuple[Tensor, Tensor]:
        """Rates of D and of G, β₁, β₂; and 1 - βᵗ of the coming step, (β₁ and β₂, D and G).

        Tensors, because another number would compile another graph; the powers outside of the
        graph, because the compiler would take them anew for every 16 weights.
        """
        s = self.settings
        numbers = torch.tensor(
            [s.d_lr, s.g_lr, s.beta1, s.beta2], dtype=torch.float64, device=self.device
        )
        t = 1 + torch.stack([moments[0]["step"] for _, moments in self._state])
        return numbers, 1 - numbers[2:, None] ** t

    def _read_state(self) -> list[tuple[dict[str, Tensor], list[dict[str, Tensor]]]]:
        """Parameters by name and Adam's moments, of D and of G: the tensors themselves."""
        pairs = (self.discriminator, "d_optimizer"), (self.generator, "g_optimizer")
        return [
            (
                {name: p.detach() for name, p in network.named_parameters()},
                [self.optimizers[name].state[p] for p in network.parameters()],
            )
            for network, name in pairs
        ]

    def _graph(self, loss: str, z, images, index, numbers, corrections, d, g) -> dict[str, Tensor]:
        (d_params, d_moments), (g_params, g_moments) = d, g
        d_lr, g_lr, *betas = numbers.to(images.dtype).unbind()
        d_corrections, g_corrections = corrections.to(images.dtype).T.unbind()
        real = images.index_select(0, index)
        fake, pull_back = vjp(lambda p: functional_call(self.generator, p, z), g_params)

        def d_loss_of(params):
            scores = functional_call(self.discriminator, params, torch.cat([real, fake])).flatten()
            halves = scores.split(len(z))
            return LOSSES[loss].discriminator(*halves), [half.mean() for half in halves]

        d_grads, (d_loss, (d_real, d_fake)) = grad_and_value(d_loss_of, has_aux=True)(d_params)
        _adam(d_params, d_grads, d_moments, d_lr, betas, d_corrections.unbind())

        def g_loss_of(images):
            scores = functional_call(self.discriminator, d_params, images).flatten()
            return LOSSES[loss].generator(scores)

        through_d, g_loss = grad_and_value(g_loss_of)(fake)
        (g_grads,) = pull_back(through_d)
        _adam(g_params, g_grads, g_moments, g_lr, betas, g_corrections.unbind())
        values = {"d_loss": d_loss, "d_grad": _norm(d_grads), "d_real": d_real, "d_fake": d_fake}
        return values | {"g_loss": g_loss, "g_grad": _norm(g_grads)}

    def _check_graph(self) -> None:
        s = self.settings
        buffers = [name for network in self.modules.values() for name, _ in network.named_buffers()]
        if self.num_classes or buffers or LOSSES[s.loss].penalty or s.d_steps != 1:
            raise ValueError(
                "a compiled step needs networks without labels and buffers (as batch norm has), a "
                f"loss without penalty and d_steps = 1; got {self.num_classes} classes, buffers "
                f"{buffers}, loss {s.loss!r}, d_steps = {s.d_steps}"
            )


def _norm(grads: dict[str, Tensor]) -> Tensor:
    return torch.stack([g.square().sum() for g in grads.values()]).sum().sqrt()


def _adam(params, grads, moments, lr, betas, corrections) -> None:
    """One step in place; `moments` holds `torch.optim.Adam`'s, in the order of `params`."""
    (beta1, beta2), (first, second) = betas, corrections
    step_size, root = lr / first, second.sqrt()
    for (name, p), state in zip(params.items(), moments, strict=True):
        g, mean, square = grads[name], state["exp_avg"], state["exp_avg_sq"]
        state["step"].add_(1)
        mean.mul_(beta1).add_(g * (1 - beta1))
        square.mul_(beta2).add_(g * g * (1 - beta2))
        p.sub_(step_size * mean / (square.sqrt() / root + EPSILON))
