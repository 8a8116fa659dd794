"""Labs on language and sound, drawn with pyplot: attention, sampling, translation, a voice."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio

from bigmodel_lib.data.sound_file import RATE
from bigmodel_lib.plots import BLUE, GREY, ORANGE
from bigmodel_lib.plots.fonts import font_for


def attention(view) -> None:
    """Four stages of a head, all heads, and their entropies."""
    stages, head = view.stages, view.head
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 6))
    for ax, name in zip(axes[0], ("scores", "scaled", "weights", "output"), strict=True):
        table = getattr(stages, name)[head]
        table = table if name in ("scores", "output") else view.visible(table)
        low, high = np.nanmin(table), np.nanmax(table)
        most = max(-low, high)
        limits = {"vmin": -most, "vmax": most, "cmap": "RdBu_r"}
        if name == "weights":
            limits = {"vmin": 0, "vmax": 1, "cmap": "Blues"}
        ax.imshow(table, aspect="auto", **limits)
        ax.set_title(f"{name}: {low:.2g} … {high:.2g}", fontsize=9)
        named = range(len(view.tokens)) if len(view.tokens) <= 20 else []
        ax.set_xticks(named, view.tokens if named else [], fontsize=7, rotation=90)
        ax.set_yticks(named, view.tokens if named else [], fontsize=7)
    for ax in axes[1]:
        ax.remove()
    all_heads(figure.add_subplot(2, 2, 3), view)
    bars = figure.add_subplot(2, 2, 4)
    shares = view.entropy / view.highest_entropy
    colours = [ORANGE if h == head else GREY for h in range(len(shares))]
    bars.bar(range(1, len(shares) + 1), shares, color=colours)
    bars.axhline(1, color=BLUE, ls="--")
    bars.set(xlabel="head", ylabel="entropy / its maximum", xticks=range(1, len(shares) + 1))
    bars.set_title(f"dashed: all keys alike, {view.highest_entropy:.2f} nats", fontsize=9)


def all_heads(ax, view) -> None:
    """The weights of all heads, eight in a row, the chosen one framed."""
    weights = np.nan_to_num(view.visible(view.stages.weights))
    H, T, _T = weights.shape
    columns = min(H, 8)
    padded = np.zeros((-(-H // columns) * columns, T + 1, T + 1))
    padded[:H, :T, :T] = weights
    rows = padded.reshape(-1, columns, T + 1, T + 1).swapaxes(1, 2)
    ax.imshow(rows.reshape(-1, columns * (T + 1)), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    y, x = (T + 1) * np.array(divmod(view.head, columns))
    ax.plot([x, x + T, x + T, x, x], [y, y, y + T, y + T, y], color=ORANGE, lw=2)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"weights of all {H} heads; head {view.head + 1} in detail above", fontsize=9)


def sampler(view) -> None:
    """Bars of the next token, and three continuations."""
    figure, (bars, texts) = plt.subplots(1, 2, figsize=(9.6, 4.8))
    places = np.arange(len(view.tokens))
    colours = [GREY if drawn else ORANGE for drawn in view.drawn]
    bars.barh(places - 0.2, view.by_model, 0.4, color=colours)
    bars.barh(places + 0.2, view.drawn, 0.4, color=BLUE)
    tokens = [plain(token).replace("$", r"\$")[:14] for token in view.tokens]
    bars.set_yticks(places, tokens, fontsize=8, family=font_for("".join(tokens)))
    bars.invert_yaxis()
    bars.set_xlabel("probability of the next token")
    bars.set_title("grey: by the model; blue: as it is drawn; orange: cut", fontsize=9)
    texts.set_axis_off()
    for top, name, text in zip((0.95, 0.63, 0.31), NAMES, view.texts, strict=True):
        figure.text(0.52, top, name, color=BLUE, weight="bold", va="top")
        written = textwrap.fill(plain(f"{view.prompt}▸{text}"), 62)
        style = {"fontsize": 8.5, "va": "top", "family": font_for(written)}
        figure.text(0.52, top - 0.047, written, parse_math=False, **style)


NAMES = ("greedy", "sampled", "beam search")


def plain(text: str) -> str:
    """Every character one that a font can show."""
    return "".join(c if c.isprintable() else "�" for c in text.replace("\n", "⏎"))


def translator(view) -> None:
    """Where it looked in the source, and what comes next."""
    _figure, (looks, guesses) = plt.subplots(1, 2, figsize=(9.6, 5.6), width_ratios=(3, 1))
    weights = view.weights if len(view.written) else np.zeros((1, len(view.source)))
    looks.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    font = {"family": font_for("".join((*view.source, *view.written))), "fontsize": 9}
    turn = 90 if max(map(len, view.source)) > 1 else 0
    looks.set_xticks(range(len(view.source)), view.source, rotation=turn, **font)
    looks.set_yticks(range(len(view.written)), view.written, **font)
    looks.set_title("where it looked in the source, for each token written", fontsize=9)
    guesses.barh(range(len(view.guesses)), view.probabilities, color=BLUE)
    font["family"] = font_for("".join(view.guesses))
    guesses.set_yticks(range(len(view.guesses)), view.guesses, **font)
    guesses.set(xlim=(0, 1), xlabel="probability")
    guesses.set_title("what comes next", fontsize=9)
    guesses.invert_yaxis()


def spectrogram(view) -> None:
    """Waveform, spectrogram and mel bands of a sound, and a player of it."""
    figure, axes = plt.subplots(3, 1, figsize=(9.5, 6.2), sharex=True, height_ratios=(1, 2.4, 2))
    wave, spectrum, mel = axes
    wave.plot(np.arange(len(view.sound)) / RATE, view.sound, color=BLUE, lw=0.6)
    wave.set_ylabel("pressure")
    for digit, (start, end) in zip(view.digits, view.words, strict=True):
        wave.text((start + end) / 2 / RATE, 1.1 * view.sound.max(), digit, ha="center")
        for edge in (start, end):
            wave.axvline(edge / RATE, color=GREY, lw=0.8)
    seconds = view.spectrum.shape[1] * view.hop / RATE
    for ax, values, top in ((spectrum, view.spectrum, RATE / 2), (mel, view.mel, len(view.mel))):
        low = values.max() - 60 if view.scale == "dB" else 0
        style = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}
        image = ax.imshow(values, vmin=low, extent=(0, seconds, 0, top), **style)
        figure.colorbar(image, ax=ax, label=view.scale)
    spectrum.set_ylabel("frequency, Hz")
    mel.set(xlabel="time, s", ylabel="mel band", xlim=(0, len(view.sound) / RATE))
    _ = Audio(view.sound, rate=RATE)
