"""Wrong solutions of assignment 1."""

PREDICTED = 'prediction = "b"'
YEARS = "(y2 - y1) / math.log2(n2 / n1)"
CENTRED = "x = N.log() - N.log().mean()\n    y = error.log() - error.log().mean()\n"
FITTED = "-(x * y).sum() / (x * x).sum()"
SPLIT = "N, tokens = HOFFMANN.frontier.optimum(C)"
WRONG = {
    "doubling": {
        "the time to grow e times": ("log2", "log"),
        "grows in a straight line": (YEARS, "n1 / ((n2 - n1) / (y2 - y1))"),
        "doublings a year": (YEARS, "math.log2(n2 / n1) / (y2 - y1)"),
        "counts tens": ("log2", "log10"),
    },
    "power": {
        "leaves the axes straight": (
            CENTRED,
            "x = N - N.mean()\n    y = error - error.mean()\n",
        ),
        "one logarithmic axis": ("N.log() - N.log().mean()", "N - N.mean()"),
        "keeps the sign": (FITTED, FITTED.removeprefix("-")),
        "swaps the axes": (FITTED, "-(y * y).sum() / (x * y).sum()"),
    },
    "hundred": {
        "spends all on size": (PREDICTED, 'prediction = "a"'),
        "takes the root twice": (PREDICTED, 'prediction = "c"'),
        "spends all on data": (PREDICTED, 'prediction = "d"'),
    },
    "size": {
        "reads the tokens": (SPLIT, "tokens, N = HOFFMANN.frontier.optimum(C)"),
        "takes Kaplan's law": (
            SPLIT,
            "from bigmodel_lib.scaling import LAWS\n"
            "N = LAWS['Kaplan 2020, measured'].frontier.optimum(C)[0]",
        ),
        "one token a parameter": (SPLIT, "N = (C / 6) ** 0.5"),
    },
}
