"""Wrong solutions of assignment 4."""

SIGNS = 'prediction = "a"'
WRONG = {
    "score_size": {
        "variance instead of standard deviation": ("math.sqrt(d) * s**2", "d * s**2 * s**2"),
        "adds standard deviations": ("math.sqrt(d) * s**2", "sum(s * s for _ in range(d))"),
        "counts one of two factors": ("math.sqrt(d) * s**2", "(d * s**2) ** 0.5"),
    },
    "weights": {
        "scales by d": ("math.sqrt(d)", "d"),
        "does not scale": (" / math.sqrt(d)", ""),
        "softmax over the wrong axis": ("dim=-1", "dim=2"),
        "a factor outside of the softmax": (
            "/ math.sqrt(d)\n    return scores.softmax(dim=-1)",
            "/ d\n    return 1 / math.sqrt(d) * torch.softmax(scores, 3)",
        ),
    },
    "temperature": {
        "divides by d once more": ("math.sqrt(d)", "d"),
        "the inverse": ("math.sqrt(d)", "d**-0.5"),
        "leaves the temperature at 1": ("math.sqrt(d)", "1"),
    },
    "best_discriminator": {
        "swaps data and generator": ("p / (p + q)", "q / (p + q)"),
        "odds instead of probability": ("p / (p + q)", "p / q"),
        "forgets the width in front of the exponential": (
            " / std) ** 2) / 2) / std",
            " / std) ** 2) / 2)",
        ),
    },
    "signs": {
        "reads what should be printed": (SIGNS, 'prediction = "b"'),
        "minimises": (SIGNS, 'prediction = "c"'),
        "flips the roles": (SIGNS, 'prediction = "d"'),
    },
    "adam_steps": {
        "no bias correction": (
            "m_hat = m / (1 - 0.9**n)\n        r_hat = r / (1 - 0.999**n)",
            "m_hat, r_hat = m, r",
        ),
        "no root": ("r_hat.sqrt()", "r_hat"),
        "no square": ("0.001 * g**2", "0.001 * abs(g)"),
    },
}
