"""Wrong solutions of assignment 6."""

PREDICTED = 'prediction = "b"'
RATE = "(lost + changed) / len(said)"
WINDOW = "8000 / spacing"
UNION = "(areas[0] + areas[1] - both)"
WRONG = {
    "word_errors": {
        "compares place by place": (
            "(lost + changed)",
            "sum(a != b for a, b in zip(said, heard + ' ', strict=True))",
        ),
        "divides by what was heard": (RATE, "(lost + changed) / len(heard)"),
        "counts changed words alone": ("(lost + changed)", "changed"),
        "gives the share that is right": (RATE, "1 - (lost + changed) / len(said)"),
    },
    "window": {
        "milliseconds for samples": (WINDOW, "1 / spacing * 1000"),
        "halves the range": (WINDOW, "4000 / spacing"),
        "takes the hop for the window": (WINDOW, "8000 / spacing / 4"),
    },
    "louder": {
        "power for amplitude": (PREDICTED, 'prediction = "a"'),
        "takes decibels for a factor": (PREDICTED, 'prediction = "c"'),
        "takes loudness for amplitude": (PREDICTED, 'prediction = "d"'),
    },
    "nucleus": {
        "leaves out the token that crosses p": ("(before < p)", "(ranked.cumsum(0) <= p)"),
        "does not share out anew": ("kept / kept.sum()", "kept"),
        "does not rank": (
            "probabilities.sort(descending=True)",
            "probabilities, torch.arange(len(probabilities))",
        ),
        "takes min-p for top-p": ("(before < p)", "(ranked >= p * ranked[0])"),
    },
    "overlap": {
        "no floor at 0": (".clamp(min=0)", ""),
        "counts the overlap twice": (UNION, "(areas[0] + areas[1])"),
        "divides by the smaller box": (UNION, "torch.minimum(*areas)"),
        "adds a pixel": (
            "(high - low).clamp(min=0).prod(dim=1)\n    areas = [(box[:, 2:] - box[:, :2])",
            "(high - low + 1).clamp(min=0).prod(dim=1)\n    areas = [(box[:, 2:] - box[:, :2] + 1)",
        ),
    },
}
