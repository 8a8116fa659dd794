"""The accountant against counted bytes, against PyTorch's allocator, and against the papers."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.accounting import (
    FORMATS,
    STAGES,
    Step,
    block_activations,
    casting,
    copied_weights,
    gradients,
    head_activations,
    kept_activations,
    measured_peak,
    numbers_sent,
    peak,
    phases,
    shard,
    text_loss,
    train_step,
)
from bigmodel_lib.counting import (
    TrainingMemory,
    count_parameters,
    forward_flops,
    training_flops,
    training_memory,
)
from bigmodel_lib.memory import MemoryMeter
from bigmodel_lib.models.transformer import GPT, Block, GPTConfig
from bigmodel_lib.training.schedule import adamw

TOLERANCE = 0.10  # of the measured peak

WIDE_VOCABULARY = GPTConfig(V=2003, T=32, L=2, D=48, H=3)  # the loss counts most
DEEP = GPTConfig(V=61, T=64, L=5, D=64, H=4)  # the blocks do
HEAVY = GPTConfig(V=127, T=8, L=2, D=160, H=5)  # the weights do
THIN = GPTConfig(V=61, T=64, L=1, D=8, H=8)  # the statistics of heads and norms count, too
WAYS = list(itertools.product((1, 2), (False, True), FORMATS))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def windows(step: Step) -> torch.Tensor:
    return torch.randint(step.config.V, (step.B, step.T + 1))


def model_of(step: Step, dtype=torch.float64) -> GPT:
    torch.manual_seed(0)
    return GPT(step.config, recompute=step.recompute).to(dtype)


# --- peaks


@pytest.mark.parametrize(("parts", "recompute", "precision"), WAYS)
@pytest.mark.parametrize("config", [WIDE_VOCABULARY, DEEP, HEAVY], ids=["V", "L", "N"])
def test_the_peak_is_predicted(config, parts, recompute, precision):
    step = Step(config, B=4, parts=parts, recompute=recompute, precision=precision)
    assert peak(step).total == pytest.approx(measured_peak(step), rel=TOLERANCE)


@pytest.mark.parametrize(("B", "T"), [(1, 64), (6, 17), (16, 64)])
def test_batch_and_length_count(B, T):
    step = Step(DEEP, B=B, T=T)
    assert peak(step).total == pytest.approx(measured_peak(step), rel=TOLERANCE)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    ("config", "B", "moment"),
    [
        (GPTConfig(V=2003, T=4, L=1, D=32, H=1), 2, "embedding"),
        (GPTConfig(V=7, T=64, L=1, D=64, H=2), 16, "last block"),
    ],
)
def test_the_peak_is_predicted_where_the_backward_pass_has_it(config, B, moment, parts):
    step = Step(config, B=B, parts=parts)
    assert peak(step) == phases(step)[moment]
    assert peak(step).total == pytest.approx(measured_peak(step), rel=TOLERANCE / 2)


def test_the_meter_agrees_with_the_allocator():
    """What PyTorch itself notes about each block that it allocates and frees."""
    step = Step(DEEP, B=4)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        counted = measured_peak(step)
    events = profiler.profiler.kineto_results.events()
    memory = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    highest = max(itertools.accumulate(nbytes for _, nbytes in memory))
    assert highest == pytest.approx(counted, rel=0.02)
    assert highest == pytest.approx(peak(step).total, rel=TOLERANCE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that speaks CUDA")
@pytest.mark.parametrize(("parts", "recompute", "precision"), WAYS)
def test_the_peak_is_predicted_on_a_gpu(parts, recompute, precision):
    config = GPTConfig(V=50257, T=512, L=6, D=768, H=12)  # large beside cuBLAS's workspace
    step = Step(config, B=16, parts=parts, recompute=recompute, precision=precision)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    measured_peak(step, "cuda")
    highest = torch.cuda.max_memory_allocated() - before
    assert peak(step).total == pytest.approx(highest, rel=TOLERANCE)


@pytest.mark.parametrize("config", [DEEP, THIN], ids=["L", "H"])
@pytest.mark.parametrize("precision", FORMATS)
def test_a_block_keeps_what_the_formula_says(precision, config):
    step = Step(config, B=3, precision=precision)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    block = Block(config.D, config.H).to(dtype)
    x = torch.randn(3, config.T, config.D, dtype=dtype, requires_grad=True)
    copies = 12 * config.D**2 * 2 if precision == "autocast" else 0
    # A CPU keeps the statistics of norms, two for each of two, in the format of what they norm.
    less = 4 * 2 * step.tokens if precision == "bfloat16" else 0
    enabled = precision == "autocast"
    with MemoryMeter(block) as meter, torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        block(x)
    assert meter.kept - copies == pytest.approx(block_activations(step) - less, rel=0.01)


def kept_by_a_model(step: Step) -> int:
    model = model_of(step, torch.bfloat16 if step.precision == "bfloat16" else torch.float32)
    ids = windows(step)
    with MemoryMeter(model, ids) as meter, casting(step, ids.device):
        text_loss(model, ids)  # its graph is gone, but what it kept was counted
    return meter.kept


@pytest.mark.parametrize("precision", FORMATS)
def test_a_model_keeps_what_its_blocks_its_end_and_copies_of_weights_take(precision):
    step = Step(GPTConfig(V=211, T=13, L=2, D=64, H=4), B=3, precision=precision)
    wanted = kept_activations(step) + head_activations(step) + copied_weights(step)
    assert kept_by_a_model(step) == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("config", [DEEP, WIDE_VOCABULARY])  # whose embedding's copy is large
@pytest.mark.parametrize("precision", FORMATS)
def test_a_model_that_computes_blocks_anew_keeps_their_inputs_and_its_end(precision, config):
    step = Step(config, B=3, recompute=True, precision=precision)
    assert kept_by_a_model(step) == pytest.approx(phases(step)["loss"].activations, rel=0.02)


def test_sixteen_bits_are_korthikantis_34_without_masks_and_scores():
    config = replace(DEEP, H=1, D=1000)
    step = Step(config, B=1, precision="bfloat16")
    each = block_activations(step) / (step.tokens * config.D)
    assert each == pytest.approx(34 - 2, rel=0.01)


def test_parts_add_up_and_phases_have_what_they_should():
    step = Step(DEEP, B=4)
    found = phases(step)
    N = count_parameters(DEEP).total
    assert all(p.weights == 4 * N and p.moments == 8 * N for p in found.values())
    assert found["update"].total == training_memory(N, "float32").total
    assert found["forward"].gradients == 0
    assert phases(replace(step, parts=2))["forward"].gradients == 4 * N
    assert gradients(step).total == 4 * N
    assert gradients(step).embedding == 4 * DEEP.V * DEEP.D
    of_blocks = sum(p.numel() for p in model_of(step).blocks.parameters())
    assert gradients(step).blocks == 4 * of_blocks


def test_what_saves_memory_does():
    step = Step(DEEP, B=16)
    plain = measured_peak(step)
    for saving in ({"parts": 4}, {"recompute": True}, {"precision": "bfloat16"}):
        less = replace(step, **saving)
        assert measured_peak(less) < 0.75 * plain
        assert peak(less).total < 0.75 * peak(step).total


# --- the same gradients


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_accumulated_gradients_are_those_of_the_large_batch(parts):
    step = Step(DEEP, B=6, T=13)
    large, small = model_of(step), model_of(step)
    ids = windows(step)
    for _ in range(2):
        one = train_step(large, torch.optim.SGD(large.parameters(), 0.1), ids, step)
        many = train_step(
            small, torch.optim.SGD(small.parameters(), 0.1), ids, replace(step, parts=parts)
        )
        torch.testing.assert_close(many, one, rtol=1e-12, atol=0)
    for a, b in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-14)
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-14)


def test_recomputed_gradients_are_the_same():
    step = Step(DEEP, B=3, T=13)
    found = []
    for recompute in (False, True):
        model = model_of(replace(step, recompute=recompute))
        torch.manual_seed(1)
        text_loss(model, windows(step)).backward()
        found.append([p.grad for p in model.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, rtol=0, atol=0)


def test_recomputed_gradients_are_the_same_with_dropout():
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = GPT(DEEP, dropout=0.3, recompute=recompute)
        torch.manual_seed(1)
        text_loss(model, torch.randint(DEEP.V, (3, 14))).backward()
        found.append([p.grad for p in model.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, rtol=0, atol=0)


def test_recomputing_takes_another_forward_pass_of_the_blocks():
    step = Step(DEEP, B=2)
    found = []
    for recompute in (False, True):
        model = model_of(replace(step, recompute=recompute))
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            text_loss(model, windows(step)).backward()
        found.append(counter.get_total_flops() / step.tokens)
    forward = forward_flops(DEEP)
    # A block's last product gives nothing that backward needs, so it is not computed again.
    again = forward.total - forward.logits - forward.mlp / 2
    assert found[0] == training_flops(DEEP).total
    assert found[1] == training_flops(DEEP).total + again


def test_the_loss_is_that_of_the_next_token():
    step = Step(DEEP, B=3, T=13)
    model, ids = model_of(step), windows(step)
    after_each = model(ids)[:, :-1].log_softmax(dim=-1)
    wanted = -after_each.gather(2, ids[:, 1:, None]).mean()
    torch.testing.assert_close(text_loss(model, ids), wanted)


def test_a_step_learns():
    step = Step(HEAVY, B=4, parts=2, recompute=True)
    model = GPT(HEAVY, recompute=True)
    optimizer, ids = adamw(model), windows(step)
    losses = [float(train_step(model, optimizer, ids, step)) for _ in range(8)]
    assert losses[-1] < losses[0] / 2


# --- sharing out


def test_stages_are_those_of_zeros_figure_1():
    """7.5 billion parameters on 64 workers, in GB: 120, 31.4, 16.6 and 1.9."""
    memory = training_memory(7_500_000_000)
    found = [shard(memory, 64, stage).total / 1e9 for stage in STAGES]
    assert found == pytest.approx([120, 31.4, 16.6, 1.9], abs=0.06)


@pytest.mark.parametrize("stage", STAGES)
def test_shares_make_the_whole(stage):
    memory = TrainingMemory(weights=97, gradients=97, master=0, moments=194)
    assert shard(memory, 1, stage) == memory
    part = shard(memory, 3, stage)
    whole, cut = memory.total, memory.total - part.total
    assert (cut == 0) == (stage == 0)
    assert part.weights == (33 if stage == 3 else 97)
    assert part.gradients == (33 if stage > 1 else 97)
    assert part.moments == (65 if stage > 0 else 194)
    assert 3 * part.total >= whole


def test_only_stage_3_sends_more():
    assert [numbers_sent(10, stage) for stage in STAGES] == [20, 20, 20, 30]


# --- what is refused


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"B": 0}, "B of at least 1"),
        ({"parts": 3}, "parts that divide B"),
        ({"parts": 0}, "parts of at least 1"),
        ({"T": 65}, "1 ≤ T ≤ 64"),
        ({"T": -1}, "1 ≤ T ≤ 64"),
        ({"precision": "float8"}, "float8"),
    ],
)
def test_a_step_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Step(DEEP, **({"B": 4} | wrong))


def test_stages_and_workers_that_cannot_be_are_refused():
    memory = training_memory(10)
    with pytest.raises(ValueError, match="workers of at least 1"):
        shard(memory, 0, 1)
    with pytest.raises(ValueError, match="stage in"):
        shard(memory, 2, 4)
    with pytest.raises(ValueError, match="stage in"):
        numbers_sent(10, 4)
    with pytest.raises(ValueError, match="N of at least 1"):
        numbers_sent(0, 1)
