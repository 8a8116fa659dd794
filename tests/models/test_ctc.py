"""CTC against torch's loss, and its decoders against all paths there are."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.models.ctc import beam_search, collapse, ctc_loss, greedy

FRAMES = torch.tensor([17, 11, 5, 7])
TARGETS = torch.tensor([[1, 1, 2], [3, 4, 0], [2, 2, 2], [0, 0, 0]])
LENGTHS = torch.tensor([3, 2, 3, 0])


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def both(scores, frames=FRAMES, targets=TARGETS, lengths=LENGTHS):
    log_probs = scores.log_softmax(dim=2)
    ours = ctc_loss(log_probs, frames, targets, lengths)
    theirs = F.ctc_loss(log_probs.transpose(0, 1), targets, frames, lengths, reduction="none")
    return ours, theirs


def test_loss_and_gradient_are_torchs():
    scores = logits(4, 17, 5).requires_grad_()
    ours, theirs = both(scores)
    torch.testing.assert_close(ours, theirs)
    # of the logits: torch's gradient of log_probs already has that of the softmax in it
    slopes = [
        torch.autograd.grad(loss.sum(), scores, retain_graph=True)[0] for loss in (ours, theirs)
    ]
    torch.testing.assert_close(*slopes)
    assert slopes[0].isfinite().all()


def test_what_does_not_fit_is_infinite():
    """2 2 2 needs a blank between each two: five frames, and there are four."""
    ours, theirs = both(logits(4, 17, 5), torch.tensor([17, 11, 4, 7]))
    assert torch.isinf(ours).tolist() == torch.isinf(theirs).tolist() == [False, False, True, False]


def every_labelling(log_probs: torch.Tensor) -> dict[tuple, float]:
    total: dict[tuple, float] = {}
    T, V = log_probs.shape
    for path in itertools.product(range(V), repeat=T):
        p = math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
        labels = tuple(collapse(list(path)))
        total[labels] = total.get(labels, 0) + p
    return total


def test_loss_is_the_sum_over_all_paths():
    log_probs = logits(1, 5, 3).log_softmax(dim=2)
    for labels, p in every_labelling(log_probs[0]).items():
        target = torch.tensor([[*labels, 0]])
        loss = ctc_loss(log_probs, torch.tensor([5]), target, torch.tensor([len(labels)]))
        assert float(loss) == pytest.approx(-math.log(p))


def test_a_wide_beam_finds_the_likeliest_labelling_and_its_probability():
    for scores in logits(7, 5, 3):
        log_probs = scores.log_softmax(dim=1)
        every = every_labelling(log_probs)
        labels, found = beam_search(log_probs, width=1000)
        assert every[tuple(labels)] == max(every.values())
        assert found == pytest.approx(math.log(max(every.values())))


def test_the_likeliest_path_need_not_read_as_the_likeliest_labelling():
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()  # blank blank 0.36; label 0.64
    assert greedy(log_probs) == []
    assert beam_search(log_probs)[0] == [1]


def test_paths_are_read():
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapse([0, 0]) == []


@pytest.mark.parametrize(
    ("frames", "lengths", "said"),
    [
        (FRAMES + 1, LENGTHS, "1 ≤ frames ≤ T=17"),
        (FRAMES, LENGTHS + 1, "lengths ≤ U=3"),
        (FRAMES[:2], LENGTHS, r"need frames \(B,\)"),
    ],
)
def test_what_cannot_be_is_refused(frames, lengths, said):
    with pytest.raises(ValueError, match=said):
        ctc_loss(logits(4, 17, 5).log_softmax(dim=2), frames, TARGETS, lengths)
    with pytest.raises(ValueError, match="width of at least 1"):
        beam_search(torch.zeros(2, 3), width=0)
