"""Wrong solutions of assignment 3."""

PREDICTED = 'prediction = "b"'
RECALL = "tp / (tp + fn)"
SLOPE = "2 * (y - t) * (1 - y**2) * x"
FROM_TRAIN = "mean = train.mean(dim=0)\n    std = train.std(dim=0, correction=0)\n"
WRONG = {
    "recall": {
        "precision": (RECALL, "tp / (tp + fp)"),
        "accuracy": (RECALL, "(tp + tn) / (tp + fp + fn + tn)"),
        "specificity": (RECALL, "1 - fp / (fp + tn)"),
        "F1": (RECALL, "2 / ((tp + fp) / tp + (tp + fn) / tp)"),
    },
    "standardise": {
        "leaks test statistics": (
            FROM_TRAIN,
            "rows = torch.cat([train, test])\n    mean = rows.mean(dim=0)\n"
            "    std = rows.std(dim=0, correction=0)\n",
        ),
        "gives the test rows statistics of their own": (
            "(test - mean) / std",
            "(test - test.mean(dim=0)) / test.std(dim=0, correction=0)",
        ),
        "leaves the test rows raw": ("(test - mean) / std", "test"),
        "one mean for all columns": (
            FROM_TRAIN,
            "mean = train.mean()\n    std = train.std(correction=0)\n",
        ),
    },
    "stepper": {
        "stops at the sum": (SLOPE, "2 * (y - t) * (1 - y**2)"),
        "takes the gradient of x": (SLOPE, "2 * (y - t) * (1 - y**2) * w"),
        "forgets the slope of tanh": (SLOPE, "2 * (y - t) * x"),
        "reads the value": (SLOPE, "(y - t) ** 2"),
    },
    "gradient": {
        "sums instead of averaging": (" / len(X)", ""),
        "the wrong sign": ("p - F.one_hot(t, len(W))", "F.one_hot(t, len(W)) - p"),
        "softmax over the rows": ("dim=1", "dim=0"),
        "forgets the target": (" - F.one_hot(t, len(W))", ""),
    },
    "luck": {
        "forgets the choice": (PREDICTED, 'prediction = "a"'),
        "thinks that luck has no bound": (PREDICTED, 'prediction = "c"'),
        "adds errors": (PREDICTED, 'prediction = "d"'),
    },
}
