"""Wrong solutions of assignment 8."""

PREDICTED = 'prediction = "b"'
TOKENS = "C / (6 * N)"
ERROR = "sum(count * abs(right - sure) for count, sure, right in bins) / total"
WRONG = {
    "tokens": {
        "counts the forward pass alone": (TOKENS, "C / (2 * N)"),
        "forgets the 6": (TOKENS, "C / N"),
        "takes twenty tokens a parameter": (TOKENS, "20 * N"),
    },
    "calibration": {
        "lets errors cancel": (
            ERROR,
            "abs(sum(count * (right - sure) for count, sure, right in bins)) / total",
        ),
        "takes all bins for equal": (
            ERROR,
            "sum(abs(b - a) for _, a, b in bins) / len(bins)",
        ),
        "takes the worst bin": (ERROR, "max(abs(right - sure) for _, sure, right in bins)"),
    },
    "dimension": {
        "looks at one pixel": (PREDICTED, 'prediction = "a"'),
        "takes the attack for noise": (PREDICTED, 'prediction = "c"'),
        "counts pairs": (PREDICTED, 'prediction = "d"'),
    },
    "attack": {
        "takes the gradient itself": ("gradient.sign()", "gradient"),
        "walks downhill": ("+ epsilon", "- epsilon"),
        "leaves the range of pictures": ("moved.clamp(-1, 1)", "moved"),
        "makes the whole step ε long": ("gradient.sign()", "F.normalize(gradient, dim=1)"),
    },
}
