"""Measures of generators and of calibration: closed forms, loops, SciPy, known answers."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from torch import nn
from torch.testing import assert_close

from bigmodel_lib import metrics
from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.metrics import (
    GeneratorJudge,
    class_shares,
    digit_classifier,
    fit_temperature,
    frechet_distance,
    modes_covered,
    nearest,
    precision_recall,
    reliability,
    train_digit_classifier,
    wasserstein,
)
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.training.checkpoint import load_tensors, save_tensors
from tests.trained import classifier, digits

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def mixed(N, F, seed=0):
    """Features of all sorts of scales and correlations."""
    return normal(N, F, seed=seed) @ normal(F, F, seed=seed + 1) + normal(F, seed=seed + 2)


# --- Wasserstein distance ---


def test_wasserstein_on_a_line_is_scipys():
    a, b = normal(53, seed=3), 2 * normal(53, seed=11) + 1
    expected = scipy.stats.wasserstein_distance(a.numpy(), b.numpy())
    assert wasserstein(a[:, None], b[:, None]) == pytest.approx(expected)


def test_wasserstein_is_the_best_of_all_assignments():
    a, b = normal(5, 2, seed=3), normal(5, 2, seed=11)
    ways = [(a - b[list(order)]).norm(dim=1).mean() for order in itertools.permutations(range(5))]
    assert wasserstein(a, b) == pytest.approx(min(ways).item())


def test_wasserstein_knows_no_order_and_measures_a_shift():
    a = normal(53, 2, seed=3)
    assert wasserstein(a, a[torch.randperm(53)]) == pytest.approx(0, abs=1e-6)
    assert wasserstein(a, a + torch.tensor([3.0, 4.0])) == pytest.approx(5)


def test_wasserstein_needs_as_many_points_on_both_sides():
    with pytest.raises(ValueError, match="need as many points in a as in b, got 5 and 4"):
        wasserstein(normal(5, 2), normal(4, 2))


# --- Fréchet distance ---


def by_scipy(a, b):
    """The formula as it stands in the paper."""
    a, b = a.double().numpy(), b.double().numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root)


@pytest.mark.parametrize("F", [2, 3, 7])
def test_frechet_is_the_formula_of_the_paper(F):
    a, b = mixed(53, F, seed=3), mixed(47, F, seed=11)
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-8)


def test_frechet_counts_in_float64():
    """Small differences on a large offset, as features without a bias of their own have."""
    a, b = ((1e4 + mixed(53, 3, seed=seed)).float() for seed in (3, 11))
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)


def test_frechet_of_a_shifted_set_is_the_squared_shift():
    a, shift = mixed(53, 5), torch.tensor([3.0, 0.0, -4.0, 0.0, 12.0], dtype=F64)
    assert frechet_distance(a, a + shift) == pytest.approx(169)


def test_frechet_of_a_stretched_set():
    """Σ_b = c² Σ_a commutes with Σ_a, so each standard deviation counts alone."""
    a = mixed(53, 5)
    a = a - a.mean(0)
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * a.var(0).sum().item())


def test_frechet_in_one_dimension():
    a, b = mixed(53, 1, seed=3), mixed(47, 1, seed=11)
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected.item())


@pytest.mark.parametrize("shape", [(53, 5), (3, 7), (2, 11), (53, 1)])
def test_frechet_of_a_set_to_itself_is_0(shape):
    a = mixed(*shape)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * a.var(0).sum().item())


def test_frechet_is_never_negative_where_rounding_might_make_it():
    assert min(frechet_distance(a, a) for a in (mixed(5, 11, seed=s) for s in range(20))) >= 0


def test_frechet_of_flat_sets_at_right_angles():
    """Two lines: neither covariance has full rank, and their product is 0."""
    a, b = torch.zeros(53, 3, dtype=F64), torch.zeros(47, 3, dtype=F64)
    a[:, 0], b[:, 2] = normal(53, seed=3), normal(47, seed=11)
    a, b = a - a.mean(0), b - b.mean(0)
    expected = a.var(0).sum() + b.var(0).sum()
    assert frechet_distance(a, b) == pytest.approx(expected.item())


def test_frechet_of_fewer_images_than_features():
    """Rank deficient: the eigenvalues of Σ_a Σ_b, which has no symmetric form here, say it too."""
    a, b = mixed(5, 11, seed=3), mixed(7, 11, seed=13)
    eigenvalues = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real
    cross = eigenvalues.topk(4).values.sqrt().sum()  # rank 4: five points less their mean
    shift = (a.mean(0) - b.mean(0)).square().sum()
    expected = shift + a.var(0).sum() + b.var(0).sum() - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), F=st.integers(1, 7), N=st.integers(2, 11), M=st.integers(2, 11))
def test_frechet_is_symmetric_and_knows_no_axes(seed, F, N, M):
    a, b = mixed(N, F, seed=seed), mixed(M, F, seed=seed + 5)
    distance = frechet_distance(a, b)
    rotation, _ = torch.linalg.qr(normal(F, F, seed=seed + 9))
    scale = (a.var(0) + b.var(0)).sum().item()  # √ of a rounded 0 is 1e-8 of it
    close = pytest.approx(distance, rel=1e-6, abs=1e-6 * scale)
    assert frechet_distance(b, a) == close
    assert frechet_distance(a @ rotation, b @ rotation) == close
    assert frechet_distance(a + 3, b + 3) == close


BAD = {
    "one row": ((1, 3), (5, 3)),
    "one row in the second": ((5, 3), (1, 3)),
    "other width": ((5, 3), (5, 2)),
    "not flat": ((5, 3, 1), (5, 3, 1)),
    "one axis": ((5,), (5,)),
}


@pytest.mark.parametrize(("a", "b"), BAD.values(), ids=BAD)
def test_frechet_refuses_what_does_not_fit(a, b):
    with pytest.raises(ValueError, match="at least 2 rows each") as caught:
        frechet_distance(torch.zeros(a), torch.zeros(b))
    assert str(caught.value).endswith(f"got {a} and {b}")


# --- precision and recall ---


def by_loops(real, fake, k):
    def share_within(points, manifold):
        inside = 0
        for p in points:
            for q in manifold:
                others = sorted(math.dist(q, o) for o in manifold if o is not q)
                if math.dist(p, q) <= others[k - 1]:
                    inside += 1
                    break
        return inside / len(points)

    real, fake = real.tolist(), fake.tolist()
    return share_within(fake, real), share_within(real, fake)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_precision_and_recall_are_their_definition(k, shift):
    real, fake = normal(31, 3, seed=3), normal(23, 3, seed=11) * 1.3 + shift
    assert precision_recall(real, fake, k) == pytest.approx(by_loops(real, fake, k))


def test_the_third_neighbour_is_the_default():
    real, fake = normal(31, 3, seed=3), normal(23, 3, seed=11) + 0.7
    assert precision_recall(real, fake) == precision_recall(real, fake, k=3)
    assert precision_recall(real, fake) != precision_recall(real, fake, k=2)


@pytest.mark.parametrize("N", [5, 53])
def test_a_set_has_itself_whole(N):
    real = normal(N, 3)
    assert precision_recall(real, real.clone()) == (1.0, 1.0)


def test_sets_far_apart_share_nothing():
    real, fake = normal(53, 3, seed=3), normal(47, 3, seed=11) + 100
    assert precision_recall(real, fake) == (0.0, 0.0)


@pytest.fixture
def two_modes():
    """Real images of two kinds, 50 each, ten standard deviations apart."""
    return torch.cat([normal(50, 2, seed=3) - 5, normal(50, 2, seed=11) + 5])


def test_a_collapsed_generator_has_precision_without_recall(two_modes):
    precision, recall = precision_recall(two_modes, normal(50, 2, seed=13) * 0.5 - 5)
    assert precision > 0.9
    assert 0.2 < recall <= 0.5  # nothing of the second mode


def test_a_scattered_generator_has_recall_without_precision(two_modes):
    precision, recall = precision_recall(two_modes, normal(50, 2, seed=13) * 30)
    assert precision < 0.2
    assert recall > 0.9


def test_the_balls_are_closed():
    """k = 1 on a line: radius 1 round each real point; 4 + 1 is in, 4 + 1.5 is not."""
    real = torch.arange(5.0)[:, None]
    fake = torch.tensor([[5.0], [5.5], [100.0]])
    precision, recall = precision_recall(real, fake, k=1)
    assert precision == pytest.approx(1 / 3)
    assert recall == pytest.approx(0)  # 5's nearest is 0.5 off; 100 has a ball down to 5.5


@pytest.mark.parametrize(("a", "b"), [((3, 2), (5, 2)), ((5, 2), (3, 2)), ((5, 2), (5, 3))])
def test_precision_needs_more_rows_than_neighbours(a, b):
    with pytest.raises(ValueError, match="at least 4 rows each") as caught:
        precision_recall(torch.zeros(a), torch.zeros(b))
    assert str(caught.value).endswith(f"got {a} and {b}")
    if a[1] == b[1]:
        precision_recall(torch.rand(a), torch.rand(b), k=2)


# --- nearest neighbours ---


@pytest.mark.parametrize("N", [1, 2, 63, 64, 65, 128, 129])
def test_nearest_is_what_a_loop_finds(N):
    query, reference = normal(N, 1, 2, 3, seed=3).float(), normal(31, 1, 2, 3, seed=11).float()
    distances, indices = nearest(query, reference)
    assert distances.shape == indices.shape == (N,)
    for i, image in enumerate(query):
        every = [math.dist(image.flatten().tolist(), r.flatten().tolist()) for r in reference]
        assert distances[i].item() == pytest.approx(min(every))
        assert indices[i] == every.index(min(every))


def test_the_nearest_to_a_copy_is_the_original():
    reference = normal(131, 1, 5, 7)
    order = torch.randperm(131, generator=torch.Generator().manual_seed(3))
    distances, indices = nearest(reference[order], reference)
    assert torch.equal(indices, order)
    assert distances.max() < 1e-6


# --- modes ---

PROBABILITIES = torch.tensor(
    [
        [0.95, 0.05, 0.0],  # sure of 0
        [0.90, 0.05, 0.05],  # just sure enough
        [0.05, 0.05, 0.90],  # of 2
        [0.00, 0.89, 0.11],  # not sure: counts for no class, but among the images
        [0.40, 0.30, 0.30],
    ]
)


def test_class_shares():
    assert_close(class_shares(PROBABILITIES), torch.tensor([0.4, 0.0, 0.2]))


def test_class_shares_with_another_confidence():
    assert_close(class_shares(PROBABILITIES, 0.8), torch.tensor([0.4, 0.2, 0.2]))
    assert_close(class_shares(PROBABILITIES, 0.0), torch.tensor([0.6, 0.2, 0.2]))
    assert_close(class_shares(PROBABILITIES, 0.99), torch.zeros(3))


def test_a_share_for_each_class_even_if_the_last_has_none():
    assert class_shares(torch.eye(7)[:2]).tolist() == [0.5, 0.5, 0, 0, 0, 0, 0]


def test_modes_covered():
    assert modes_covered(PROBABILITIES) == 2
    assert modes_covered(PROBABILITIES, confidence=0.8) == 3
    assert modes_covered(PROBABILITIES, share=0.3) == 1
    assert modes_covered(torch.full((5, 10), 0.1)) == 0


@pytest.mark.parametrize(("images", "modes"), [(50, 2), (51, 1)])
def test_a_fiftieth_of_the_images_is_enough(images, modes):
    labels = torch.zeros(images, dtype=torch.long)
    labels[0] = 1
    assert modes_covered(torch.eye(10)[labels]) == modes


# --- the judge ---


@pytest.fixture(scope="module")
def judge():
    return GeneratorJudge(digits("train"), digits("test"), classifier())


def test_real_images_that_nobody_saw_are_judged_real(judge):
    report = judge(digits("test").images)
    assert report.modes == 10
    assert report.frechet < 10
    assert report.precision > 0.8
    assert report.recall > 0.8
    assert report.confidence > 0.95


def test_copies_of_training_images_are_not_new(judge):
    copies = digits("train").images[:211]
    report = judge(copies)
    assert report.novelty == 0
    assert judge(copies + 0.2 * normal(211, 1, 28, 28).float()).novelty < 0.05
    assert report.precision == 1
    assert report.modes == 10


def test_noise_is_no_digit(judge):
    noise = normal(211, 1, 28, 28).float().clamp(-1, 1)
    report = judge(noise)
    assert report.frechet > 300
    assert report.precision < 0.05
    assert report.recall < 0.05
    assert report.modes < 5
    assert report.confidence < 0.9


def test_one_digit_alone_is_one_mode(judge):
    test = digits("test")
    report = judge(test.images[test.labels == 3])
    assert report.modes == 1
    assert report.precision > 0.8
    assert report.recall < 0.3
    assert report.frechet > judge(test.images).frechet


def test_the_report_is_made_of_the_measures(judge):
    images = digits("test").images[:131]
    network = classifier()
    with torch.no_grad():
        features = network.features(images)
        probabilities = network(images).softmax(dim=1)
        real = network.features(digits("train").images)
    report = judge(images)
    assert report.frechet == pytest.approx(frechet_distance(real, features), rel=1e-3)
    assert (report.precision, report.recall) == precision_recall(real, features)
    assert report.modes == modes_covered(probabilities)
    assert report.confidence == pytest.approx(probabilities.max(1).values.mean().item())
    assert report.novelty == pytest.approx(1797 / 360)  # each is its own nearest held-out image
    assert_close(judge.shares(images), class_shares(probabilities))


def test_images_that_nobody_saw_are_as_new_as_can_be():
    train = digits("train")
    half = len(train) // 2
    halves = [
        LabelledImages(train.images[part], train.labels[part], "digits")
        for part in (slice(half), slice(half, None))
    ]
    judge = GeneratorJudge(*halves, classifier())
    assert judge(digits("test").images).novelty == pytest.approx(1, abs=0.15)


class Looker(nn.Module):
    """The simplest classifier: two features, the mean brightness of the halves."""

    def __init__(self):
        super().__init__()
        self.head = nn.Identity()
        self.batches = []

    def features(self, images):
        self.batches.append(len(images))
        return images.flatten(1).view(-1, 2, 392).mean(dim=2)


@pytest.fixture
def some():
    def draw(N, seed):
        images = normal(N, 1, 28, 28, seed=seed).float()
        return LabelledImages(images, torch.zeros(N).long(), "digits")

    return draw


def test_so_many_training_images_are_looked_at(some):
    judge = GeneratorJudge(some(31, 3), some(7, 11), Looker(), limit=13)
    assert judge.real_features.shape == (13, 2)
    assert len(judge.train) == 31  # copies are looked for among all of them
    assert judge(judge.train[-5:]).novelty == 0


def even(values):
    """Images of one brightness each."""
    images = torch.tensor(values)[:, None, None, None].expand(-1, 1, 28, 28)
    return LabelledImages(images, torch.zeros(len(values)).long(), "digits")


HELD_OUT = [0.0, 0.3, 0.6]  # three of nine
LEARNED = [0.1, 0.2, 0.4, 0.5, 0.7, 0.8]


@pytest.mark.parametrize(
    ("values", "novelty"),
    [
        ([0.11, 0.19, 0.42, 0.71], 0),  # near-copies
        ([value + 0.04 for value in HELD_OUT + LEARNED], 1),  # as near to one kind as to the other
        ([0.01, 0.31, 0.61, 0.41], 0.75 * 3),
    ],
)
def test_novelty_compares_neighbours_held_out_with_chance(values, novelty):
    judge = GeneratorJudge(even(LEARNED), even(HELD_OUT), Looker())
    assert judge(even(values).images).novelty == pytest.approx(novelty)


@pytest.mark.parametrize("N", [511, 512, 513, 1025])
def test_a_look_goes_in_parts_and_loses_nothing(some, N):
    judge = GeneratorJudge(some(7, 3), some(5, 11), Looker())
    judge.classifier.batches.clear()
    images = some(N, 13).images
    features, probabilities = judge.look(images)
    assert_close(features, images.flatten(1).view(-1, 2, 392).mean(dim=2))
    assert_close(probabilities, features.softmax(dim=1))
    assert max(judge.classifier.batches) <= 512


def test_a_look_keeps_no_graph_and_the_classifier_is_in_its_test_mode(some):
    train = some(31, 3)
    judge = GeneratorJudge(train, some(7, 11), DigitCNN().train())
    features, probabilities = judge.look(train.images)
    assert not features.requires_grad
    assert not probabilities.requires_grad
    assert not judge.classifier.training
    assert_close(probabilities.sum(dim=1), torch.ones(31))


def test_without_a_classifier_it_takes_that_of_the_source(monkeypatch, some):
    asked = []

    def stand_in(source):
        asked.append(source)
        return Looker()

    monkeypatch.setattr(metrics, "digit_classifier", stand_in)
    train = some(7, 3)
    GeneratorJudge(LabelledImages(train.images, train.labels, "fashion-mnist"), some(5, 11))
    assert asked == ["fashion-mnist"]


# --- the classifier and its cache ---


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder; nothing in memory before or after."""
    monkeypatch.setenv("BIGMODEL_CACHE", str(tmp_path / "cache"))
    digit_classifier.cache_clear()
    yield tmp_path / "cache"
    digit_classifier.cache_clear()


@pytest.fixture
def trainings(monkeypatch):
    """Training takes no time here; a list of what it was asked to learn from."""
    asked = []

    def train(data):
        asked.append((data.source, len(data)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return DigitCNN().eval()

    monkeypatch.setattr(metrics, "train_digit_classifier", train)
    return asked


ONCE = [("digits", 1437)]  # on the training split


def same(a, b):
    pairs = itertools.zip_longest(a.state_dict().items(), b.state_dict().items())
    return all(n == m and torch.equal(v, w) for (n, v), (m, w) in pairs)


def test_it_trains_once_and_is_then_read_from_the_cache(cache, trainings):
    first = digit_classifier()
    assert trainings == ONCE
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]
    digit_classifier.cache_clear()  # as in a new process
    second = digit_classifier()
    assert trainings == ONCE
    assert second is not first
    assert same(first, second)
    assert not second.training


def test_in_one_process_it_is_not_even_read_again(cache, trainings):
    first = digit_classifier()
    next(cache.iterdir()).unlink()
    assert digit_classifier() is first
    assert trainings == ONCE


def test_the_file_says_what_it_is(cache, trainings):
    digit_classifier()
    (path,) = cache.iterdir()
    facts = load_tensors(path)[1]
    assert "digits" in path.name
    assert (facts["source"], facts["steps"], facts["seed"]) == ("digits", 400, 0)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path):
    path.write_bytes(b"")


def of_another_shape(path):
    save_tensors(path, DigitCNN(features=16).state_dict(), {})


def of_something_else(path):
    save_tensors(path, {"weight": torch.zeros(3)}, {})


@pytest.mark.parametrize("damage", [cut_short, emptied, of_another_shape, of_something_else])
def test_a_damaged_file_is_replaced(cache, trainings, damage):
    first = digit_classifier()
    (path,) = cache.iterdir()
    damage(path)
    digit_classifier.cache_clear()
    assert same(digit_classifier(), first)
    assert trainings == ONCE * 2
    digit_classifier.cache_clear()
    assert same(digit_classifier(), first)  # the file is whole again
    assert trainings == ONCE * 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(cache, trainings):
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be kept for the next time: .*cache"):
        network = digit_classifier()
    assert isinstance(network, DigitCNN)
    assert trainings == ONCE


def test_a_full_disk_leaves_no_half_file(cache, trainings, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        digit_classifier()
    assert list(cache.iterdir()) == []


def test_training_repeats_and_leaves_the_global_random_state_alone(monkeypatch):
    monkeypatch.setattr(metrics, "CLASSIFIER_STEPS", 3)
    before = torch.get_rng_state()
    first = train_digit_classifier(digits("train"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    assert same(train_digit_classifier(digits("train")), first)
    assert not first.training


def test_training_works_for_one_who_asks_within_no_grad(monkeypatch):
    monkeypatch.setattr(metrics, "CLASSIFIER_STEPS", 2)
    with torch.no_grad():
        assert isinstance(train_digit_classifier(digits("train")), DigitCNN)


def test_the_rate_falls_to_0_along_half_a_cosine(monkeypatch):
    """Each record sets the rate of the next step."""
    monkeypatch.setattr(metrics, "CLASSIFIER_STEPS", 4)
    rates = []

    class Watched(metrics.ClassifierRun):
        def train_step(self):
            rates.append(self.settings.lr)
            return super().train_step()

    monkeypatch.setattr(metrics, "ClassifierRun", Watched)
    train_digit_classifier(digits("train"))
    expected = [1.5e-3 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert rates == pytest.approx(expected)


# --- calibration ---


def classified(N=401, C=5, seed=0):
    """Scores and labels; a label is drawn from the softmax of its scores."""
    scores = 2 * normal(N, C, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    return scores, torch.multinomial(scores.softmax(1), 1, generator=generator)[:, 0]


def ece_by_loops(probabilities, labels, bins):
    """The definition, one prediction at a time."""
    inside = [[] for _ in range(bins)]
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        sure = max(row)
        place = next(m for m in range(bins) if sure <= (m + 1) / bins or m == bins - 1)
        inside[place].append((sure, row.index(sure) == label))
    error = 0.0
    for found in filter(None, inside):
        confidence = sum(sure for sure, _ in found) / len(found)
        accuracy = sum(right for _, right in found) / len(found)
        error += len(found) / len(labels) * abs(accuracy - confidence)
    return error


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6), N=st.integers(1, 67), C=st.integers(2, 7), bins=st.integers(1, 13)
)
def test_calibration_error_is_its_definition(seed, N, C, bins):
    scores, labels = classified(N, C, seed)
    probabilities = (3 * scores).softmax(1)
    expected = ece_by_loops(probabilities, labels, bins)
    assert reliability(probabilities, labels, bins).error == pytest.approx(expected)


def test_reliability_equals_scikit_learns_curve():
    scores, labels = classified()
    probabilities = scores.softmax(1)
    best = probabilities.max(1)
    accuracy, confidence = calibration_curve(best.indices == labels, best.values, n_bins=7)
    found = reliability(probabilities, labels, bins=7)
    filled = found.share > 0
    assert_close(found.accuracy[filled], torch.tensor(accuracy))
    assert_close(found.confidence[filled], torch.tensor(confidence))
    assert found.accuracy[~filled].isnan().all()
    assert found.share.sum() == pytest.approx(1)


def test_a_value_on_an_edge_belongs_to_the_lower_bin_and_1_to_the_last():
    probabilities = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], dtype=F64)
    found = reliability(probabilities, torch.tensor([0, 0, 0]), bins=4)
    assert_close(found.share, torch.tensor([0, 1, 1, 1]) / 3)
    assert found.accuracy[1:].tolist() == [1, 0, 1]
    assert found.error == pytest.approx((0.5 + 0.75 + 0) / 3)


def test_a_classifier_that_is_always_sure_and_half_right():
    probabilities = torch.eye(2, dtype=F64).repeat(7, 1)
    assert reliability(probabilities, torch.zeros(14).long()).error == pytest.approx(0.5)


def test_float32_probabilities_of_a_network_are_taken():
    scores, labels = classified()
    assert reliability(scores.float().softmax(1), labels).error < 0.1


@pytest.mark.parametrize(
    ("probabilities", "labels", "bins", "message"),
    [
        (torch.ones(3, 2), torch.zeros(3).long(), 10, "sum to 1"),
        (torch.tensor([[1.5, -0.5]]), torch.zeros(1).long(), 10, "lowest value of -0.5"),
        (torch.tensor([[0.5, 0.5]]), torch.zeros(1).long(), 0, "and 0 bins"),
        (torch.tensor([[0.5, 0.5]]), torch.zeros(2).long(), 10, r"got \(1, 2\) and \(2,\)"),
        (torch.ones(0, 2), torch.zeros(0).long(), 10, "N >= 1"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([2]), 10, "labels from 0 to 1"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([0.0]), 10, "whole labels"),
    ],
)
def test_what_is_no_classification_is_refused(probabilities, labels, bins, message):
    with pytest.raises(ValueError, match=message):
        reliability(probabilities, labels, bins)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_the_temperature_that_scores_were_multiplied_by_is_found_again(temperature):
    scores, labels = classified(N=20011)
    assert fit_temperature(temperature * scores, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_is_where_the_loss_is_lowest():
    scores, labels = classified()
    best = fit_temperature(3 * scores, labels)

    def loss(T):
        return nn.functional.cross_entropy(3 * scores / T, labels).item()

    found = scipy.optimize.minimize_scalar(loss, bounds=(0.1, 30), method="bounded")
    assert best == pytest.approx(found.x, rel=1e-3)
    assert loss(best) < min(loss(1.01 * best), loss(best / 1.01))


@pytest.mark.parametrize("labels", [[0, 1], [1, 0]])
def test_where_no_temperature_is_best_it_is_said(labels):
    with pytest.raises(ValueError, match="no temperature is best"):
        fit_temperature(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor(labels))
