"""Wrong solutions of assignment 2."""

PREDICTED = 'prediction = "b"'
LAST = "(attention + mlp + norms) + 2 * D"
DEEPEST = "(budget * 10**6 - count(0, D, 50257, 1024)) // (count(1, D, 0, 0) - count(0, D, 0, 0))"
RIGHT_ORDER = "squares.permute(0, 2, 4, 1, 3, 5)"
WRONG = {
    "memory": {
        "weights alone": ("(1 + 1 + 2)", "1"),
        "forgets the optimiser": ("(1 + 1 + 2)", "(1 + 1)"),
        "one moment": ("(1 + 1 + 2)", "(1 + 1 + 1)"),
        "keeps a second copy": ("(1 + 1 + 2)", "(1 + 1 + 1 + 2)"),
        "bits for bytes": ("1e6 * 4", "1e6 * 32"),
    },
    "width": {
        "thinks of vectors": (PREDICTED, 'prediction = "a"'),
        "counts depth, too": (PREDICTED, 'prediction = "c"'),
        "squares twice": (PREDICTED, 'prediction = "d"'),
    },
    "count": {
        "matrices alone": (
            f"V * D + T * D + L * {LAST}",
            "V * D + T * D + L * (4 * D * D + 2 * D * (4 * D))",
        ),
        "counts the vocabulary twice": ("V * D", "2 * V * D"),
        "forgets the positions": ("V * D + T * D", "V * D"),
        "forgets the last normalisation": (LAST, LAST.removesuffix(" + 2 * D")),
    },
    "layers": {
        "forgets the embeddings": ("count(0, D, 50257, 1024)", "count(0, D, 0, 0)"),
        "counts the vocabulary twice": ("50257", "2 * 50257"),
        "forgets the MLP": ("(count(1, D, 0, 0) - count(0, D, 0, 0))", "(4 * D**2 + 4 * D)"),
        "one too many": (DEEPEST, f"{DEEPEST} + 1"),
    },
    "patches": {
        "reshapes at once": (
            "images.reshape(B, C, H // P, P, W // P, P)\n    squares = " + RIGHT_ORDER,
            "images",
        ),
        "reads the patches by column": (RIGHT_ORDER, "squares.permute(0, 4, 2, 1, 3, 5)"),
        "transposes each patch": (RIGHT_ORDER, "squares.permute(0, 2, 4, 1, 5, 3)"),
        "channels last": (RIGHT_ORDER, "squares.permute(0, 2, 4, 3, 5, 1)"),
    },
}
