"""Tables: rows of measured features with a class each, and one of noise, where nothing is to learn.

Shapes: N rows, F features.
"""

from dataclasses import dataclass

import numpy as np

NOISE_ROWS, NOISE_FEATURES = 120, 1000
TABLES = ("breast cancer", "wine", "digits", "noise")
SCALINGS = ("raw", "normalised", "standardised")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of features, each with its class.

    Attributes:
        x: (N, F) float64, each feature in a unit of its own.
        y: (N,) int64, 0 to the number of classes less 1.
        class_names: what they stand for.
    """

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]


def load_table(name: str) -> Table:
    """A table that needs no download.

    - "breast cancer": 569 cell samples, 30 measures, malignant or benign (Wolberg, Street &
      Mangasarian 1995, Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository);
    - "wine": 178 wines of three growers, 13 measures (Aeberhard & Forina 1991, UCI);
    - "digits": 1,797 handwritten digits, 64 pixels of 0 to 16 (Alpaydin & Kaynak 1998, UCI);
    - "noise": 120 rows, 1,000 features drawn from a normal distribution, and as many rows of
      either class, by lot: the best that any classifier can do on new rows is 50 %.

    Raises:
        ValueError: another name.
    """
    if name not in TABLES:
        raise ValueError(f"need a table of {TABLES}, got {name!r}")
    if name == "noise":
        return random_labels()
    from sklearn import datasets  # 1 s to import: only who needs it pays

    loaders = {
        "breast cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "digits": datasets.load_digits,
    }
    found = loaders[name]()
    names = tuple(str(one) for one in found.target_names)
    return Table(found.data.astype(float), found.target.astype(np.int64), names)


def random_labels(rows: int = NOISE_ROWS, features: int = NOISE_FEATURES, seed: int = 0) -> Table:
    """Features and classes that have nothing to do with each other: the truth is 50 %."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(rows) % 2)
    return Table(generator.normal(size=(rows, features)), labels, ("0", "1"))


def split_rows(y: np.ndarray, validation: float, test: float, seed: int = 0) -> dict:
    """Rows for "train", "validation" and "test", with the classes in equal shares.

    Args:
        y: classes (N,).
        validation, test: shares of all rows, above 0, together below 1.
        seed: of the lot.

    Returns:
        Three arrays of row numbers, which share none.

    Raises:
        ValueError: shares that cannot be, or that leave a part with fewer rows than classes.
    """
    from sklearn.model_selection import train_test_split

    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ValueError(
            f"need shares above 0 and together below 1, got {validation:g} and {test:g}"
        )
    rows = np.arange(len(y))
    rest, test_rows = train_test_split(rows, test_size=test, stratify=y, random_state=seed)
    train_rows, validation_rows = train_test_split(
        rest, test_size=validation / (1 - test), stratify=y[rest], random_state=seed
    )
    return {"train": train_rows, "validation": validation_rows, "test": test_rows}


def preprocess(
    x: np.ndarray, y: np.ndarray, seen: np.ndarray, scaling: str, keep: int | None = None
) -> np.ndarray:
    """All rows, prepared by what some of them say.

    First the features that tell the classes apart best, one by one, are kept (the highest F of
    an analysis of variance); then each is scaled: "raw" leaves it, "normalised" brings it to
    0 … 1, "standardised" to mean 0 and standard deviation 1, on the rows seen.

    Args:
        x, y: features (N, F) and classes (N,).
        seen: the rows that selection and statistics come from. An honest choice has none in it
            that the result will be tested on.
        scaling: a name in `SCALINGS`.
        keep: how many features; None for all.

    Returns:
        (N, keep), or (N, F).

    Raises:
        ValueError: an unknown scaling, or more features to keep than vary on the rows seen.
    """
    from sklearn.feature_selection import f_classif
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if scaling not in SCALINGS:
        raise ValueError(f"need a scaling of {SCALINGS}, got {scaling!r}")
    if keep is not None:
        varied = np.flatnonzero(np.ptp(x[seen], axis=0) > 0)  # F is 0 / 0 for the others
        if not 1 <= keep <= len(varied):
            raise ValueError(f"need 1 to {len(varied)} features, as many as vary; got {keep}")
        best = np.argsort(f_classif(x[seen][:, varied], y[seen])[0])[-keep:]
        x = x[:, np.sort(varied[best])]
    if scaling == "raw":
        return x
    scaler = MinMaxScaler() if scaling == "normalised" else StandardScaler()
    return scaler.fit(x[seen]).transform(x)


def second_moments(x: np.ndarray) -> np.ndarray:
    """X̃ᵀX̃ / N of the features and a constant 1, (F + 1, F + 1).

    The curvature of the loss of every linear model is this matrix times how sharply the loss
    bends (1 for half the squared error, at most 1/4 for the logistic loss): so its eigenvalues
    say how fast gradient descent is in each direction. -- LeCun, Bottou, Orr & Müller 1998,
    Efficient BackProp.
    """
    x = _with_one(x)
    return x.T @ x / len(x)


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])


def condition_number(x: np.ndarray) -> float:
    """Largest over smallest eigenvalue of `second_moments(x)`, zeros left out.

    Gradient descent needs a number of steps proportional to it. A zero is a direction in which
    no row differs: no loss depends on it.
    """
    x = _with_one(x)
    N, F = x.shape
    # X̃ᵀX̃ and X̃X̃ᵀ have the same eigenvalues but for zeros: take the smaller one
    values = np.linalg.eigvalsh((x.T @ x if F <= N else x @ x.T) / N)
    rounding = values[-1] * F * np.finfo(float).eps
    return float(values[-1] / values[values > rounding][0])
