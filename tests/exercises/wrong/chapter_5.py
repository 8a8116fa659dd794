"""Wrong solutions of assignment 5."""

PREDICTED = 'prediction = "b"'
BUILT = "sum(w.numel() for w in MLPGenerator(Z, (h,)).parameters())"
BATCH = "wanted / n / 2"
WRONG = {
    "parameters": {
        "no biases": (".parameters())", ".parameters() if w.ndim == 2)"),
        "a bias for each input": (BUILT, "Z * (h + 1) + h * (784 + 1)"),
        "counts the stack": (
            BUILT,
            f"{BUILT} + sum(map(torch.numel, torch.nn.Linear(784, h).parameters())) + h + 1",
        ),
    },
    "discriminator_loss": {
        "forgets detach": (".detach()", ""),
        "detaches the scores": (
            "fake = G(z).detach()\n    return F.softplus(-D(real)).mean() + F.softplus(D(fake))",
            "fake = G(z)\n    return F.softplus(-D(real)).mean() + F.softplus(D(fake).detach())",
        ),
        "swaps the labels": (
            "F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()",
            "F.softplus(D(real)).mean() + F.softplus(-D(fake)).mean()",
        ),
        "leaves the real data out": ("F.softplus(-D(real)).mean() + ", ""),
    },
    "generator_steps": {
        "forgets zero_grad": ("optimizer.zero_grad()", "pass"),
        "detaches the generator": ("D(G(z))", "D(G(z).detach())"),
        "learns to look fake": ("F.softplus(-D(G(z)))", "F.softplus(D(G(z)))"),
        "takes the saturating loss": (
            "F.softplus(-D(G(z)))",
            "torch.log(1 - D(G(z)).sigmoid())",
        ),
    },
    "batch": {
        "counts real images alone": (BATCH, "wanted / n"),
        "takes one step of D": (BATCH, "wanted / 2"),
        "takes all images for a batch": (BATCH, "wanted"),
    },
    "pushes": {
        "same goal, same gradient": (PREDICTED, 'prediction = "a"'),
        "compares the losses, not their slopes": (PREDICTED, 'prediction = "c"'),
        "takes saturating for strong": (PREDICTED, 'prediction = "d"'),
    },
}
