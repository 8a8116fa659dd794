"""From a probability to a yes or no: what a threshold costs.

Shapes: N cases, p the forecast probability of "yes", y the truth.
"""

import numpy as np


def confusion(p, y, threshold: float) -> dict[str, int]:
    """How many cases are found, missed, alarmed in vain and left alone, if p >= threshold is yes.

    Args:
        p: probabilities (N,).
        y: 0 or 1 (N,).
        threshold: 0 to 1.

    Returns:
        "found", "missed", "false alarms", "left alone"; together N.

    Raises:
        ValueError: other shapes or values.
    """
    p, y = np.asarray(p, float), np.asarray(y)
    fits = p.ndim == 1 and p.shape == y.shape and len(p) > 0
    if not (fits and ((p >= 0) & (p <= 1)).all() and np.isin(y, (0, 1)).all()):
        raise ValueError(f"need p (N,) in 0 … 1 and y (N,) of 0 and 1, got {p.shape}, {y.shape}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"need a threshold from 0 to 1, got {threshold}")
    yes, ill = p >= threshold, y == 1
    return {
        "found": int((yes & ill).sum()),
        "missed": int((~yes & ill).sum()),
        "false alarms": int((yes & ~ill).sum()),
        "left alone": int((~yes & ~ill).sum()),
    }


def best_threshold(missed: float, false_alarm: float) -> float:
    """Where yes and no cost the same on average: c₁ / (c₁ + c₀)  -- Elkan 2001.

    At a probability p, yes costs (1 − p) c₁ and no costs p c₀; right only if p can be believed.

    Args:
        missed: c₀, cost of a missed case, above 0.
        false_alarm: c₁, cost of a false alarm, above 0, in the same unit.

    Raises:
        ValueError: a cost that is not positive.
    """
    if not (missed > 0 and false_alarm > 0):
        raise ValueError(f"need costs above 0, got {missed} and {false_alarm}")
    return false_alarm / (false_alarm + missed)


def mean_cost(p, y, threshold: float, missed: float, false_alarm: float) -> float:
    """What a case costs on average at a threshold, in the unit of the two costs."""
    count = confusion(p, y, threshold)
    return (missed * count["missed"] + false_alarm * count["false alarms"]) / len(y)


def net_benefit(p, y, threshold: float) -> float:
    """True alarms less false ones at their price: TP/N − FP/N · t/(1 − t).

    -- Vickers & Elkin 2006, Decision curve analysis. Who acts from a probability t upwards says
    by it that one found case is worth (1 − t)/t false alarms. Nobody treated has 0; to be of
    use, a model must be above that and above treating everybody.

    Args:
        p, y, threshold: of `confusion`; the threshold t below 1.

    Raises:
        ValueError: those of `confusion`, or t = 1.
    """
    if threshold == 1:
        raise ValueError("need a threshold below 1: at 1 no found case is worth a false alarm")
    count = confusion(p, y, threshold)
    odds = threshold / (1 - threshold)
    return (count["found"] - odds * count["false alarms"]) / len(y)


def predictive_value(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Share of the alarms that are true, where so many of all have it (Bayes' rule)."""
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return true / (true + false)
