"""How good is a generator, and may a classifier's probabilities be believed?

Distances between sets of images, measured in a feature space; calibration of probabilities.

Shapes: N and M images, F features, C classes. All statistics are computed in float64 on the CPU:
a covariance loses digits in float32, and MPS has no float64.
"""

import functools
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.data.download import cache_folder
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.training.checkpoint import CheckpointError, load_tensors, save_tensors
from bigmodel_lib.training.classifier import ClassifierRun
from bigmodel_lib.training.schedule import cosine

# --- the feature space: a digit classifier, trained in seconds and cached ---

CLASSIFIER_STEPS, CLASSIFIER_SEED, CLASSIFIER_VERSION = 400, 0, 1


@functools.lru_cache
def digit_classifier(source: str = "digits") -> DigitCNN:
    """The classifier that judges generated digits, on the CPU, in evaluation mode.

    Trained once on the training split of the source (a few seconds), then read from the cache.

    Args:
        source: of `load_digits`.
    """
    classifier = DigitCNN().eval()
    name = f"digit-classifier-{source}-v{CLASSIFIER_VERSION}.safetensors"
    path = cache_folder() / name
    try:
        classifier.load_state_dict(load_tensors(path)[0])
    except (CheckpointError, RuntimeError):  # none yet, or cut short, or of an older shape
        classifier = train_digit_classifier(load_digits(source, "train"))
        facts = {"source": source, "steps": CLASSIFIER_STEPS, "seed": CLASSIFIER_SEED}
        try:
            save_tensors(path, classifier.state_dict(), facts)
        except OSError as error:
            reason = f"the classifier could not be kept for the next time: {error}"
            warnings.warn(reason, stacklevel=2)
    return classifier


@torch.enable_grad()  # whoever asks for a judge within no_grad gets one too
def train_digit_classifier(data: LabelledImages) -> DigitCNN:
    """Train the classifier anew, with seeds of its own: the same on the same machine each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(CLASSIFIER_SEED)
        classifier = DigitCNN()
    run = ClassifierRun(classifier, data, seed=CLASSIFIER_SEED)
    for _ in cosine(run, CLASSIFIER_STEPS, lr=3e-3):
        pass
    return classifier.eval()


# --- distances between two sets of features ---


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance of the two Gaussians fitted to the features.

    ‖μ_a - μ_b‖² + Tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)  -- Heusel et al. 2017, eq. 6,
    arXiv:1706.08500.

    Args:
        a, b: features (N, F) and (M, F), at least 2 rows each, in any unit; the result is in
            its square.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check_features(a, b, rows=2)
    a, b = a.double().cpu(), b.double().cpu()
    cov_a, cov_b = torch.atleast_2d(torch.cov(a.T)), torch.atleast_2d(torch.cov(b.T))
    # Σ_a Σ_b and the symmetric Σ_a^½ Σ_b Σ_a^½ have the same eigenvalues
    root = _symmetric_root(cov_a)
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    shift = (a.mean(0) - b.mean(0)).square().sum()
    return float((shift + cov_a.trace() + cov_b.trace() - 2 * cross).clamp(min=0))


def _symmetric_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def wasserstein(a: Tensor, b: Tensor) -> float:
    """Wasserstein-1 distance of two sets of points, exactly, with equal weight on each point.

    min over one-to-one assignments π of 1/N Σ_i ‖a_i − b_π(i)‖: how far each point must be
    moved on average to turn one set into the other (Villani 2009, Optimal Transport, ch. 6).
    Two samples of one density are not at 0: compare with the distance between two such samples.

    Args:
        a, b: points (N, F), of one N: time grows as N³; 1,000 take a fraction of a second.

    Returns:
        The mean way, in the unit of the points.

    Raises:
        ValueError: shapes that differ, or no points.
    """
    from scipy.optimize import linear_sum_assignment  # half a second to import

    _check_features(a, b, rows=1)
    if len(a) != len(b):
        raise ValueError(f"need as many points in a as in b, got {len(a)} and {len(b)}")
    ways = torch.cdist(a.double().cpu(), b.double().cpu()).numpy()
    return float(ways[linear_sum_assignment(ways)].mean())


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall: what share of each set lies within the other's manifold.

    A set's manifold is the union of balls round its points that reach to their k-th neighbour.
    -- Kynkäänniemi et al. 2019, eqs. 1-2, arXiv:1904.06991.

    Args:
        real, fake: features (N, F) and (M, F), more than k rows each.

    Returns:
        Precision (share of fake within the real manifold: are the images good?) and recall
        (share of real within the fake manifold: is every kind there?).
    """
    _check_features(real, fake, rows=k + 1)
    real, fake = real.double().cpu(), fake.double().cpu()
    between = torch.cdist(real, fake)  # (N, M)
    precision = (between <= _radius(real, k)[:, None]).any(dim=0)
    recall = (between <= _radius(fake, k)[None, :]).any(dim=1)
    return float(precision.double().mean()), float(recall.double().mean())


def _radius(points: Tensor, k: int) -> Tensor:
    # the nearest "neighbour" is the point itself, so the k-th is at place k + 1
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values


def nearest(query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (N,) to the nearest of the reference rows, and its index (N,).

    Args:
        query, reference: (N, …) and (M, …), compared as flat vectors by Euclidean distance.
    """
    reference = reference.flatten(1).double().cpu()
    parts = [  # 64 rows at a time: the whole table of distances to 60,000 images would not fit
        torch.cdist(part.flatten(1).double().cpu(), reference).min(dim=1)
        for part in query.split(64)
    ]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def _check_features(a: Tensor, b: Tensor, rows: int) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < rows:
        raise ValueError(
            f"need features (N, F) and (M, F) with at least {rows} rows each, "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )


def class_shares(probabilities: Tensor, confidence: float = 0.9) -> Tensor:
    """Share of the images that a classifier assigns to each class (C,), when it is sure.

    Args:
        probabilities: (N, C).
        confidence: images whose best class has less than this count for no class.
    """
    best = probabilities.max(dim=1)
    sure = best.indices[best.values >= confidence]
    return torch.bincount(sure, minlength=probabilities.shape[1]) / len(probabilities)


def modes_covered(probabilities: Tensor, confidence: float = 0.9, share: float = 0.02) -> int:
    """How many classes a generator produces: those that get at least this share of its images.

    Counting modes with a classifier follows Che et al. 2016, arXiv:1612.02136. A share of 0.02
    is a fifth of the fair share of ten classes.
    """
    return int((class_shares(probabilities, confidence) >= share).sum())


# --- all of them at once ---


@dataclass(frozen=True)
class GeneratorReport:
    """What one set of generated images measures.

    Attributes:
        frechet: squared Fréchet distance to the real images (lower is better, 0 is equal).
        precision, recall: 0 to 1, see `precision_recall`.
        modes: classes covered, see `modes_covered`.
        confidence: mean probability of the best class: do they look like any digit?
        novelty: how often the nearest real image is a held-out one, over how often that would be
            by chance. 1: training images are no nearer than unseen ones; 0: each image is
            nearest to one it was trained on. Counting neighbours from both sets follows Meehan
            et al. 2020, arXiv:2004.05675.
    """

    frechet: float
    precision: float
    recall: float
    modes: int
    confidence: float
    novelty: float


class GeneratorJudge:
    """Measures generated images against real ones, with a classifier as its eyes.

    Args:
        data_train, data_test: what the generator learned from, and real images it never saw.
        classifier: with `features(images)`; `digit_classifier()` if not given.
        limit: features of so many training images at most, because precision and recall
            compare all pairs.
    """

    def __init__(
        self,
        data_train: LabelledImages,
        data_test: LabelledImages,
        classifier: nn.Module | None = None,
        limit: int = 3000,
    ):
        self.classifier = (classifier or digit_classifier(data_train.source)).eval()
        self.train, self.test = data_train.images.cpu(), data_test.images.cpu()
        self.real_features = self.look(self.train[:limit])[0]
        self.real = torch.cat([self.train, self.test])

    @torch.no_grad()
    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, F) and class probabilities (N, C) of images (N, 1, 28, 28)."""
        features = torch.cat([self.classifier.features(part) for part in images.cpu().split(512)])
        return features, self.classifier.head(features).softmax(dim=1)

    def shares(self, images: Tensor) -> Tensor:
        """Share of the images in each class (C,), see `class_shares`."""
        return class_shares(self.look(images)[1])

    def __call__(self, images: Tensor) -> GeneratorReport:
        """Judge images (N, 1, 28, 28) in [-1, 1]; some hundreds at least, for a covariance."""
        features, probabilities = self.look(images)
        precision, recall = precision_recall(self.real_features, features)
        return GeneratorReport(
            frechet=frechet_distance(self.real_features, features),
            precision=precision,
            recall=recall,
            modes=modes_covered(probabilities),
            confidence=float(probabilities.max(dim=1).values.mean()),
            novelty=self._novelty(images),
        )

    def _novelty(self, images: Tensor) -> float:
        held_out = nearest(images, self.real)[1] >= len(self.train)
        return float(held_out.double().mean() * len(self.real) / len(self.test))


# --- calibration: of all that is called 90 % sure, is 90 % right? ---


@dataclass(frozen=True, eq=False)
class Reliability:
    """How sure a classifier is, beside how often it is right, bin by bin.

    Attributes:
        confidence: mean probability of the predicted class in each bin (bins,), 0 to 1.
        accuracy: share of right predictions in each bin (bins,), 0 to 1.
        share: of all predictions, how many lie in each bin (bins,); sums to 1.

    Confidence and accuracy are NaN in a bin that is empty.
    """

    confidence: Tensor
    accuracy: Tensor
    share: Tensor

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: Σ share · |accuracy - confidence|.

        -- Guo et al. 2017, eq. 3, arXiv:1706.04599.
        """
        gaps = (self.accuracy - self.confidence).abs().nan_to_num()
        return float((self.share * gaps).sum())


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 10) -> Reliability:
    """Sort predictions by how sure they are into equal bins ((m - 1)/bins, m/bins].

    Args:
        probabilities: (N, C), rows that sum to 1.
        labels: the right classes (N,), 0 to C - 1.
        bins: how many.

    Raises:
        ValueError: shapes that do not fit, rows that are no probabilities, or no bin.
    """
    _check_classified(probabilities, labels)
    probabilities = probabilities.double().cpu()
    total = probabilities.sum(1)
    if bins < 1 or probabilities.min() < 0 or not torch.allclose(total, torch.ones_like(total)):
        raise ValueError(
            f"need rows of probabilities that sum to 1, and bins >= 1; got a lowest value of "
            f"{probabilities.min():.3g}, sums of {total.min():.3g} to {total.max():.3g}, "
            f"and {bins} bins"
        )
    best = probabilities.max(dim=1)
    right = (best.indices == labels.cpu()).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    place = torch.bucketize(best.values, edges)  # (left, right], as in the paper
    count = torch.bincount(place, minlength=bins)
    return Reliability(
        confidence=torch.bincount(place, best.values, bins) / count,
        accuracy=torch.bincount(place, right, bins) / count,
        share=count / len(labels),
    )


def fit_temperature(scores: Tensor, labels: Tensor) -> float:
    """The temperature T for which softmax(scores / T) gives the labels the highest likelihood.

    Guo et al. 2017, section 4.2, arXiv:1706.04599. T > 1 makes a classifier less sure, T < 1
    surer; its predictions stay as they are. The loss is convex in 1/T, with the slope
    mean(Σ_c p_c z_c - z_label), so halving an interval finds where that is 0.

    Args:
        scores: before the softmax (N, C), of data that the classifier was not trained on.
        labels: the right classes (N,), 0 to C - 1.

    Raises:
        ValueError: shapes that do not fit; no best T, because every label has the highest
            score (then T → 0), or labels score no better than the average class (T → ∞).
    """
    _check_classified(scores, labels)
    scores = scores.double().cpu()
    of_label = scores.gather(1, labels.cpu()[:, None])[:, 0]

    def slope(sharpness: float) -> float:  # of the loss, at 1/T = sharpness
        mean = ((sharpness * scores).softmax(dim=1) * scores).sum(dim=1)
        return float((mean - of_label).mean())

    low, high = -7.0, 7.0  # of log10(1/T)
    if not slope(10**low) < 0 < slope(10**high):
        raise ValueError(
            "need some labels that score highest and some that do not: no temperature is best"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(10**middle) < 0 else (low, middle)
    return 10**-low


def _check_classified(values: Tensor, labels: Tensor) -> None:
    if values.ndim != 2 or labels.shape != values.shape[:1] or not len(labels):
        raise ValueError(
            f"need (N, C) and labels (N,), N >= 1; got {tuple(values.shape)} and "
            f"{tuple(labels.shape)}"
        )
    if labels.is_floating_point() or not 0 <= labels.min() <= labels.max() < values.shape[1]:
        raise ValueError(f"need whole labels from 0 to {values.shape[1] - 1}, got {labels}")
