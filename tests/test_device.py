"""Devices, seeds and number formats; what needs an accelerator is skipped where there is none."""

import random

import numpy as np
import pytest
import torch

from bigmodel_lib import device as module
from bigmodel_lib.device import autocast, by_device, pick_device, seed_everything

CPU = torch.device("cpu")
needs_accelerator = pytest.mark.skipif(
    not torch.accelerator.is_available(), reason="needs an accelerator: CUDA, MPS or XPU"
)


@pytest.fixture
def cpu_only(monkeypatch):
    """A build of PyTorch that knows CUDA, on a machine that has none."""

    def current(check_available=False):
        return None if check_available else torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 0)


@pytest.fixture
def two_gpus(monkeypatch):
    def current(check_available=False):
        return torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.fixture
def random_state():
    """Put the global generators back, so that no other test depends on this one."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


# --- which device ---


@pytest.mark.usefixtures("cpu_only")
def test_without_an_accelerator_it_is_the_cpu():
    assert pick_device() == pick_device("cpu") == CPU


@pytest.mark.usefixtures("two_gpus")
def test_an_accelerator_is_preferred_and_the_cpu_may_be_asked_for():
    assert pick_device() == torch.device("cuda")
    assert pick_device("cpu") == CPU


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_one_of_several_may_be_asked_for(name):
    assert pick_device(name) == torch.device(name)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "mps", "xpu:0", "meta"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=f"asked for '{name}', found 'cuda'"):
        pick_device(name)


@pytest.mark.usefixtures("cpu_only")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "xpu", "meta"])
def test_without_an_accelerator_each_is_refused(name):
    with pytest.raises(ValueError, match=f"asked for '{name}', found 'cpu'"):
        pick_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "banana", "cuda:-1", "cuda:one"])
def test_what_is_no_device_is_refused(name):
    with pytest.raises(ValueError, match=f"need a device such as .*, got '{name}'"):
        pick_device(name)


@needs_accelerator
def test_this_accelerator_is_found_and_usable():
    found = pick_device()
    assert found.type != "cpu"
    assert torch.ones(3, device=found).sum().item() == 3


@pytest.mark.parametrize(("name", "setting"), [("cpu", 3), ("cuda", 5), ("mps", 5), ("xpu", 5)])
def test_settings_by_device(monkeypatch, name, setting):
    monkeypatch.setattr(module, "pick_device", lambda: torch.device(name))
    assert by_device(cpu=3, gpu=5) == setting


# --- seeds ---


def draw():
    return random.random(), np.random.random(), torch.rand(()).item()


@pytest.mark.usefixtures("random_state")
def test_a_seed_makes_all_three_repeat():
    draws = []
    for seed in (7, 11, 7):
        seed_everything(seed)
        draws.append((draw(), draw()))
    assert draws[0] == draws[2]
    for i in range(3):  # each generator by itself heard of the other seed
        assert draws[0][0][i] != draws[1][0][i]
        assert draws[0][0][i] != draws[0][1][i]


@pytest.mark.usefixtures("random_state")
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_both_ends_of_the_range_are_seeds(seed):
    seed_everything(seed)
    first = draw()
    seed_everything(seed)
    assert draw() == first


@pytest.mark.usefixtures("random_state")
@pytest.mark.parametrize("seed", [-1, 2**32, True, False, 1.5, 1.0, "1", None])
def test_a_bad_seed_is_refused_and_changes_nothing(seed):
    seed_everything(3)
    expected = draw()
    seed_everything(3)
    with pytest.raises(ValueError, match=r"from 0 to 2\*\*32 - 1, got ") as caught:
        seed_everything(seed)
    assert repr(seed) in str(caught.value)
    assert draw() == expected


@needs_accelerator
@pytest.mark.usefixtures("random_state")
def test_a_seed_makes_the_accelerator_repeat():
    here = pick_device()
    draws = []
    for seed in (7, 11, 7):
        seed_everything(seed)
        draws.append(torch.rand(5, device=here).tolist())
    assert draws[0] == draws[2] != draws[1]


# --- number formats ---


def test_no_mixed_precision_on_a_cpu():
    a = torch.ones(2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a.T).dtype == torch.bfloat16
        with autocast(CPU):
            assert (a @ a.T).dtype == torch.float32


@pytest.mark.parametrize(
    ("native", "dtype"), [(True, torch.bfloat16), (False, torch.float16)], ids=["A100", "T4"]
)
def test_cuda_uses_bfloat16_only_where_the_hardware_has_it(monkeypatch, native, dtype):
    def supported(including_emulation=True):
        return native or including_emulation  # as torch.cuda answers

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch, "autocast", lambda *args, **settings: (args, settings))
    assert autocast(torch.device("cuda:1")) == (("cuda",), {"dtype": dtype})


@pytest.mark.parametrize("name", ["mps", "xpu"])
def test_other_accelerators_use_bfloat16(monkeypatch, name):
    monkeypatch.setattr(torch, "autocast", lambda *args, **settings: (args, settings))
    assert autocast(torch.device(name)) == ((name,), {"dtype": torch.bfloat16})


@needs_accelerator
def test_mixed_precision_on_this_accelerator():
    a = torch.ones(2, 3, device=pick_device())
    with autocast(a.device):
        product = a @ a.T
    assert product.dtype in (torch.bfloat16, torch.float16)
    assert product.tolist() == [[3, 3], [3, 3]]
