"""Wrong solutions of assignment 9."""

PREDICTED = 'prediction = "b"'
DAYS = 'Training(N, D, "A100", n, utilisation, watts=400).days'
SCALED = "(loss * len(a) / len(x)).backward()"
WRONG = {
    "days": {
        "counts the forward pass alone": (
            DAYS,
            "2 * N * D / (312e12 * utilisation * n) / 3600 / 24",
        ),
        "believes the data sheet": (DAYS, "6 * N * D / (312e12 * n) / 3600 / 24"),
        "one device": (DAYS, "6 * N * D / (312e12 * utilisation) / 3600 / 24"),
        "gives hours": (DAYS, "6 * N * D / (312e12 * utilisation * n) / 3600"),
    },
    "recomputing": {
        "takes it for free": (PREDICTED, 'prediction = "a"'),
        "forgets that the way back costs more": (PREDICTED, 'prediction = "c"'),
        "repeats it for each layer": (PREDICTED, 'prediction = "d"'),
    },
    "traffic": {
        "sends all to everyone": ("2 * (n - 1), millions * 1e6 * 4 / n", "n - 1, millions * 4e6"),
        "goes round once": ("2 * (n - 1)", "n - 1"),
        "counts gradients for bytes": ("1e6 * 4", "1e6"),
        "forgets that one piece stays": ("2 * (n - 1)", "2 * n"),
    },
    "accumulation": {
        "does not divide": (SCALED, "loss.backward()"),
        "clears between the pieces": (SCALED, f"model.zero_grad()\n        {SCALED}"),
        "takes the pieces for equal": (SCALED, "(loss / parts).backward()"),
    },
}
