"""Wrong solutions of assignment 7."""

PREDICTED = 'prediction = "a"'
LORA = "L * 2 * (D * r + r * D)"
WRONG = {
    "lora": {
        "counts the frozen matrix": (LORA, "L * 2 * D * D"),
        "one of two factors": (LORA, "L * 2 * D * r"),
        "all four matrices": (LORA, "L * 4 * (D * r + r * D)"),
    },
    "start": {
        "thinks that both factors start at random": (PREDICTED, 'prediction = "b"'),
        "forgets the frozen weights": (PREDICTED, 'prediction = "c"'),
        "replaces instead of adding": (PREDICTED, 'prediction = "d"'),
    },
    "cache": {
        "counts keys alone": ("numbers = 2 * L", "numbers = L"),
        "one layer": ("2 * L * D", "2 * D"),
        "in 32 bits": ("numbers * 2 / 1e9", "numbers * 4 / 1e9"),
        "one sequence": ("* T * B", "* T"),
    },
    "eight_bits": {
        "one scale for all rows": ("amax(dim=1, keepdim=True)", "max()"),
        "cuts instead of rounding": (".round()", ".int()"),
        "leaves the whole numbers": (".round() * step", ".round()"),
        "255 steps on one side": ("/ 127", "/ 255"),
    },
    "distillation": {
        "forgets T²": ("T**2 * divergence", "divergence"),
        "softens the teacher alone": ("(student_scores / T)", "student_scores"),
        "turns the divergence round": (
            "(p * (p.log() - log_q))",
            "(log_q.exp() * (log_q - p.log()))",
        ),
        "takes the cross-entropy": ("(p * (p.log() - log_q))", "(-p * log_q)"),
        "averages over classes, too": (".sum(dim=1)", ".mean(dim=1)"),
    },
}
