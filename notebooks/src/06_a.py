# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,nbgrader,slideshow,-all
#     notebook_metadata_filter: kernelspec,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---


# %%
import math
import time

import matplotlib.pyplot as plt
import torch
from matplotlib.font_manager import FontProperties
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn

from bigmodel_lib import plots
from bigmodel_lib.cached.language import LanguageGPT, NumberTranslator
from bigmodel_lib.claims import claim
from bigmodel_lib.data import numbers
from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import is_cached
from bigmodel_lib.data.sentiment import Clause, Review, reviews
from bigmodel_lib.data.sst2 import load_sst2
from bigmodel_lib.data.text import (
    bits_per_character,
    compressed_bits,
    language_reference,
    split_paragraphs,
)
from bigmodel_lib.data.words import Words
from bigmodel_lib.device import seed_everything
from bigmodel_lib.models import bpe
from bigmodel_lib.models.ngram import KneserNey
from bigmodel_lib.models.rnn import GRU
from bigmodel_lib.models.sampling import (
    GREEDY,
    Sampler,
    beam_search,
    cached_next_logits,
    generate,
    next_logits,
)
from bigmodel_lib.models.sequence import SequenceClassifier
from bigmodel_lib.plots.fonts import font_for
from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun
from bigmodel_lib.training.text import token_nats
from bigmodel_lib.training.translation import (
    TranslationMemory,
    draw_numbers,
    exact_match,
    text_translator,
)
from bigmodel_lib.widgets import SamplerLab, TranslatorLab

seed_everything(0)
torch.set_num_threads(1)

# %% [markdown]
# ## 6.1 Natural language · 自然语言处理
#
# The article names three tasks: **text generation**, **machine translation** and **sentiment analysis**. Each gets a model here, and an opponent that costs next to nothing. A number means little until you know what counting, copying or compressing would have reached.
#
# ### Text generation · 文本生成
#
# A **language model** gives every possible next piece of text a probability. To write, it draws a piece, puts it behind the text, and asks itself again. First question: what is a piece?

# %% [markdown]
# Whole words are too many, and tomorrow brings a new one. Letters are few, but a text of them is long. **Byte-pair encoding** lies between: start with the 256 bytes; find the pair of neighbours that occurs most often; make it one **token**; repeat until the vocabulary holds $V$ tokens (Sennrich et al. 2016). The text is CPython's language reference, every paragraph once, its last tenth held out.

# %%
text = language_reference()
train_text, test_text = split_paragraphs(text)
start = time.perf_counter()
learned = bpe.train(train_text, V=LanguageGPT.settings["config"]["V"])
ours_s = time.perf_counter() - start
print("the first merges:", [learned.tokens[256 + i].decode() for i in range(12)])
print("the last:", [token.decode(errors="replace") for token in learned.tokens[-8:]])
print([learned.decode([token]) for token in learned.encode("An unparenthesized expression")])

# %% [markdown]
# Ours is for reading. For work there is Hugging Face's `tokenizers`, written in Rust; it is also the oracle: from the same text it must learn the same vocabulary, and cut a text that neither has seen in the same places.

# %%
theirs = Tokenizer(models.BPE())
theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=learned.V, initial_alphabet=alphabet, show_progress=False)
start = time.perf_counter()
theirs.train_from_iterator([train_text], trainer)
theirs_s = time.perf_counter() - start
cuts = [end for _, end in theirs.encode(test_text).offsets]
lengths = torch.tensor([len(learned.tokens[token]) for token in learned.encode(test_text)])
different = len(set(cuts) ^ set(lengths.cumsum(0).tolist())) if test_text.isascii() else 0
claim("places where the two cut the held-out text differently", different, 0, 0)

# %% tags=["machine"]
print(f"to learn {learned.V} tokens: ours {ours_s:.2f} s, theirs {theirs_s:.2f} s")

# %% [markdown]
# #### The model · 模型
#
# The **GPT** is that of chapter 2, small. Training took minutes, more than a chapter may, so it was done once by `make models NAME=language_gpt`, and the weights lie in the package. The file says how it was made:

# %%
gpt, facts = LanguageGPT().load()
encoding = bpe.BytePairEncoding(facts.vocabulary)
print(f"{facts.parameters:,} parameters, {facts.seconds:.0f} s of training, torch {facts.torch}")
print(f"on Python {facts.python}'s text; the same here: {facts.data == LanguageGPT().data_hash()}")
print(facts.settings["config"], facts.settings["training"])

# %% [markdown]
# **Train it anew?** `make models NAME=language_gpt` does all of it. Here are the first steps, live: the same recipe, from random weights.

# %%
recipe = LanguageGPT()
torch.manual_seed(0)
fresh = recipe.run(recipe.make(facts.vocabulary), facts.vocabulary)
first = [record["loss"] for record in fresh.take(2)]
print("loss of the first steps, nats a token:", [round(loss, 2) for loss in first])
claim("at first all tokens are alike: loss over ln V", first[0] / math.log(encoding.V), 0.95, 1.05)

# %% [markdown]
# #### How good? Against counting and against zip files · 与压缩程序相比
#
# A model that gives the text probability $p$ could store it in $-\log_2 p$ bits (Shannon 1948): **bits per character** compares models with different tokens, and a language model with a compressor. Opponents:
#
# - a **5-gram** counts which letter followed the last four (interpolated Kneser-Ney, Chen & Goodman 1999), and a **4-gram** the same on tokens;
# - **gzip** and **xz** find repeats; what counts is how much their file grows when the held-out text comes behind the training text.
#
# **Predict:** who wins, with so little text to learn from?


# %%
def bits(nats) -> float:
    return bits_per_character(float(nats), test_text)


letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
ids = [letters[letter] for letter in text]
five_gram = KneserNey(ids[: len(train_text)], 5, len(letters))
known, held_out = encoding.encode(train_text), encoding.encode(test_text)
tokens = torch.tensor(known + held_out)
four_gram = KneserNey(known, 4, encoding.V)
by_count = torch.tensor([
    four_gram.nats(tokens[max(0, i - 3) : i + 1].tolist(), min(i, 3))
    for i in range(len(known), len(tokens))
])  # fmt: skip

# %% [markdown]
# Two models can vote: $p = (p_\text{GPT} + p_\text{4-gram})/2$, the plain mean.

# %%
T = gpt.config.T
by_gpt = token_nats(gpt, tokens, len(known), T)  # (held-out tokens,)
vote = -((by_gpt.neg().exp() + by_count.neg().exp()) / 2).log()
rows = {
    "gzip": compressed_bits("gzip", test_text, train_text),
    "xz": compressed_bits("xz", test_text, train_text),
    "5-gram on letters": bits(five_gram.nats(ids, len(train_text))),
    "4-gram on tokens": bits(by_count.sum()),
    "GPT": bits(by_gpt.sum()),
    "GPT and 4-gram": bits(vote.sum()),
}
plots.table({name: {"bits a character": value} for name, value in rows.items()})
best = min(rows["gzip"], rows["xz"], rows["5-gram on letters"])
claim("GPT alone: bits a character less than gzip", rows["gzip"] - rows["GPT"], low=0.05)
claim("both together: less than the best of the rest", best - rows["GPT and 4-gram"], low=0.01)

# %% [markdown]
# The table is honest about size. On a third of a million letters, counting and copying are hard to beat: xz keeps every phrase it has read, and a manual repeats its phrases. The network errs elsewhere than the counts do, so together they beat everything.
#
# One advantage the compressors had: they go on learning from what they have just read. So can a network, by one step of training on each window that it has paid for (*dynamic evaluation*, Krause et al. 2018). On the first windows of the held-out text:

# %%
count = 10 * T
moving = token_nats(gpt, tokens[: len(known) + count], len(known), T, lr=5e-4)
saved = 1 - float(moving.sum() / by_gpt[:count].sum())
claim("learning as it reads: share of the bits saved", saved, low=0.002)

# %% [markdown]
# #### Decoding with a cache · 键值缓存
#
# Attention needs keys and values of all earlier tokens. They do not change, so a **KV cache** keeps them: each new token costs one position instead of all. It must not change a single choice.

# %%
prompt = torch.tensor([encoding.encode("The following is an")])


def write(source, steps: int = 60, sampler: Sampler = GREEDY, seed: int = 0) -> list[int]:
    drawn = generate(source(gpt), prompt, sampler, generator=torch.Generator().manual_seed(seed))
    return [int(token) for token, _step in zip(drawn, range(steps), strict=False)]


start = time.perf_counter()
plain = write(next_logits)
plain_s = time.perf_counter() - start
cached = write(cached_next_logits)
cached_s = time.perf_counter() - start - plain_s
claim(
    "greedy tokens that the cache changes, of 60",
    sum(a != b for a, b in zip(plain, cached, strict=True)),
    0,
    0,
)

# %% tags=["machine"]
print(f"60 tokens: {plain_s:.2f} s without, {cached_s:.2f} s with a cache")

# %% [markdown]
# #### From scores to text · 采样
#
# **Greedy** takes the most probable token each time. **Sampling** draws. The **temperature** divides the scores before the softmax: below 1 sharper, above 1 flatter. Filters cut the long tail of improbable tokens, each of which is rarely drawn but together often: **top-k** keeps $k$; **top-p** the fewest that hold probability $p$; **min-p** those at least min-p times as probable as the first. **Beam search** keeps several beginnings and looks for the most probable whole.
#
# **Predict:** which of these will repeat itself?

# %%
ways = {
    "greedy": GREEDY,
    "temperature 1": Sampler(),
    "temperature 2": Sampler(temperature=2),
    "top-k 10": Sampler(k=10),
    "top-p 0.8": Sampler(p=0.8),
    "min-p 0.1": Sampler(min_p=0.1),
}
written = {name: write(cached_next_logits, 40, sampler) for name, sampler in ways.items()}
beam = beam_search(next_logits(gpt), prompt[0], width=4, steps=40)[0]
written["beam of 4"] = list(beam.ids)
for name, ids in written.items():
    print(f"{name:>14} ▸ {' '.join(encoding.decode(ids).split())}")


# %%
def log_probability(ids: list[int]) -> float:
    whole = torch.cat((prompt[0], torch.tensor(ids)))
    return -float(token_nats(gpt, whole, prompt.shape[1], T).sum())


chosen = {name: log_probability(ids) for name, ids in written.items()}
claim(
    "beam's text over the greedy one, in log probability",
    chosen["beam of 4"] - chosen["greedy"],
    low=-5,
)
claim(
    "greedy over temperature 2, in log probability",
    chosen["greedy"] - chosen["temperature 2"],
    low=20,
)

# %% [markdown]
# The likeliest text is not the best one: greedy and beam run into phrases that repeat (Holtzman et al. 2020). Text that people write carries surprise, about as much as the model's own entropy.
#
# **Try it.** Your own prompt, at most 96 tokens:
#
# 1. *temperature* 0, then 3. What becomes of the entropy, and of the text?
# 2. *top-k* 5 behind `The`, then behind `import`. Where does a fixed number cut too much, where too little? Compare *top-p* 0.9.
# 3. *temperature* 3 with *min-p* 0.3.

# %%
SamplerLab(gpt, encoding, temperature=0.8, p=0.9)

# %% [markdown]
# *In the picture:* left, the likeliest next tokens, ␣ a space, ⏎ a new line. Grey is what the model says, blue what is drawn from; orange was cut. Right, three continuations behind ▸.
#
# <details><summary>What you should see</summary>
#
# 1. At 0 the entropy is 0 and sampling is greedy; at 3 hundreds of tokens are nearly alike, and so is the text.
# 2. Where one token is nearly certain, five are too many; where dozens are possible, too few. Top-p follows the distribution.
# 3. Min-p keeps the flattened tail out: only tokens near the top survive, so the text holds longer.
#
# </details>

# %% [markdown]
# ### Machine translation · 机器翻译
#
# Number words, from English to Chinese and back. The truth is exact, and no word-by-word translation will do: English groups by thousands, Chinese by 万, ten thousands. *Twelve | thousand three hundred* is 一万 | 二千三百.
#
# An **encoder** reads the whole source; a **decoder** writes the target token by token, and at each step looks back into the source by **cross-attention** (Vaswani et al. 2017). One network does both directions: the first token says which.

# %%
translator, facts = NumberTranslator().load()
print(f"{facts.parameters:,} parameters, {facts.seconds:.0f} s of training, torch {facts.torch}")
seed_everything(0)
tested = draw_numbers(200, digits=7, held_out=True)
longer = [n for n in draw_numbers(400, digits=8, held_out=True) if n >= 10**7]
known_pairs = draw_numbers(1000, digits=7)
for n in tested[:4]:
    source = numbers.to_english(n)
    print(f"{n:>9,}  {source}  →  {text_translator(translator, 'zh')([source])[0]}")

# %% [markdown]
# One number in ten is **held out**: training never draws it. The opponent is a **translation memory**, as translators used before: find the most similar of 1,000 known sources, and take its target over. The measure is **exact match**: every sign right. **Predict:** numbers of one digit more than training ever showed?

# %%
table = {}
for to, name in (("zh", "to Chinese"), ("en", "to English")):
    ours, memory = text_translator(translator, to), TranslationMemory(known_pairs, to)
    table[name] = {
        "exact match": exact_match(ours, tested, to),
        "memory": exact_match(memory, tested[:60], to),
        "one digit longer": exact_match(ours, longer, to),
    }
plots.table(table)
for name, row in table.items():
    claim(f"{name}: exact match on held-out numbers", row["exact match"], low=0.99)
    claim(f"{name}: ahead of the memory", row["exact match"] - row["memory"], low=0.5)
    claim(
        f"{name}: exact match, one digit longer than ever seen", row["one digit longer"], high=0.2
    )

# %% [markdown]
# Within seven digits it learned the rule. One digit beyond, it fails nearly always: nothing in training said how to go on there, and the network does not say that it does not know. What does it write?

# %%
for n in longer[:3]:
    source = numbers.to_english(n)
    print(
        source,
        "→",
        text_translator(translator, "zh")([source])[0],
        "· right:",
        numbers.to_chinese(n),
    )


# %% [markdown]
# **Beam search** keeps the four most probable beginnings instead of one. **Predict:** how many translations does it change, of numbers that the model knows well?


# %%
def by_beam(n: int) -> str:
    source = torch.tensor([numbers.encode(numbers.to_english(n))])
    first = torch.tensor([numbers.TO_CHINESE])
    with torch.no_grad():
        read = translator.next_logits(source)
    return numbers.decode(list(beam_search(read, first, 4, 40, end=numbers.END)[0].ids))


some = tested[:25]
greedy = text_translator(translator, "zh")([numbers.to_english(n) for n in some])
changed = sum(by_beam(n) != a for n, a in zip(some, greedy, strict=True))
claim("translations that a beam of 4 changes, of 25", changed, high=1)

# %% [markdown]
# None: where one token has nearly all the probability at each step, there is nothing to search. Beam pays where several wordings compete.
#
# **Where does it look?** The cross-attention of the last layer, mean over its heads:

# %%
n = 1_203_040
source = torch.tensor([numbers.encode(numbers.to_english(n))])
target = [numbers.TO_CHINESE, *numbers.encode(numbers.to_chinese(n))]
with torch.no_grad():
    _scores, looks = translator.decode(torch.tensor([target]), *translator.encode(source))
weights = looks[-1][0].mean(dim=0)  # (T, S): row t is where token t + 1 was looked for
names = [numbers.VOCABULARY[token] for token in source[0].tolist()]
written = [numbers.VOCABULARY[token] for token in target[1:]] + ["⟨end⟩"]

# %%
figure, ax = plt.subplots(figsize=(6, 4.2))
shown = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
font = FontProperties(family=font_for("".join(written)), size=10)
ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
ax.set_yticks(range(len(written)), written, fontproperties=font)
ax.set(xlabel="source", ylabel="written, from top to bottom")
figure.colorbar(shown, label="attention weight")
alt = (
    "Attention from each Chinese sign to the English words of 1,203,040: 一 looks at one, 二 at "
    "two, 三 at three, 四 at forty; the unit signs look at hundred and thousand."
)
plots.show(figure, alt=alt)
looked = [names[i] for i in weights.argmax(dim=1).tolist()]
pairs = {"一": "one", "二": "two", "三": "three", "四": "forty"}
hits = sum(looked[written.index(sign)] == word for sign, word in pairs.items())
claim("digits that looked mostly at their own word, of 4", hits, low=3)

# %% [markdown]
# *In the picture:* each row is a sign being written, and the dark cell the word it was looked up in. Nobody told the model which word belongs to which sign: this **alignment** came out of translating (Bahdanau et al. 2015). The units 百, 十, 万 spread over several words, since their place depends on all of them.
#
# **Try it:** your own number, in digits or words. (1) Set *tokens written* to 0 and press *next token*. (2) Find a number of eight digits that comes out right. (3) Look at single *heads*: do they share the work?

# %%
TranslatorLab(translator, text="1203040")

# %% [markdown]
# *In the picture:* left, the alignment so far; right, the candidates for the next token with their probabilities. The line below says whether the translation is right.

# %% [markdown]
# ### Sentiment analysis · 情感分析
#
# Is a review positive? The usual cheap answer is a **bag of words**: count each word, weigh the counts (logistic regression). It cannot know which word *not* belongs to. These reviews are composed, so that this decides: negation turns a word and halves it, *very* adds to it, and of two clauses the one behind *but* counts. Negation, intensity and adjective that stand together in the test stand together in no training review, though each word does.

# %%
train_reviews, test_reviews = reviews(4000, held_out=False), reviews(1000, held_out=True)
train_texts, test_texts = ([r.text for r in part] for part in (train_reviews, test_reviews))
train_labels, test_labels = (
    torch.tensor([r.is_positive for r in part]).long() for part in (train_reviews, test_reviews)
)
for review in test_reviews[:5]:
    print(f"{'+' if review.is_positive else '−'}  {review.text}")

# %%
accuracy = {}
for n, name in ((1, "bag of words"), (2, "bag of words and pairs"), (3, "… and triples")):
    counts = CountVectorizer(ngram_range=(1, n), token_pattern=r"\S+")
    bag = make_pipeline(counts, LogisticRegression(max_iter=1000)).fit(train_texts, train_labels)
    accuracy[name] = {
        "training reviews": bag.score(train_texts, train_labels),
        "held-out combinations": bag.score(test_texts, test_labels),
    }

# %% [markdown]
# Our reader is a **GRU** (chapter 2): it takes the words in order, rewrites its state at each, and answers at the last one. It trains here, in a few seconds. **Predict:** pairs of words know *not good*. Will they help on new combinations?


# %%
def train_reader(words, texts, labels, steps: int, width: int = 32):
    torch.manual_seed(0)
    body = SequenceClassifier(GRU(width, width), width, C=2)
    net = nn.Sequential(nn.Embedding(words.V, width, padding_idx=0), body)

    def draw(count):
        index = torch.randint(len(texts), (count,))
        return words.encode([texts[i] for i in index.tolist()]), labels[index]

    settings = ClassifierSettings(lr=5e-3, batch_size=64)
    run = StreamRun(net, draw, settings=settings, keep_every=10_000)
    return net, list(run.take(steps))


def score(net, words, texts, labels) -> float:
    with torch.no_grad():
        return float((net(words.encode(texts)).argmax(dim=1) == labels).float().mean())


# %%
words = Words(train_texts)
reader, records = train_reader(words, train_texts, train_labels, steps=400)
accuracy["GRU"] = {
    "training reviews": score(reader, words, train_texts, train_labels),
    "held-out combinations": score(reader, words, test_texts, test_labels),
}
plots.table(accuracy)
best_bag = max(accuracy[name]["held-out combinations"] for name in list(accuracy)[:3])
lead = accuracy["GRU"]["held-out combinations"] - best_bag
claim(
    "GRU, share right on held-out combinations", accuracy["GRU"]["held-out combinations"], low=0.95
)
claim("its lead over the best bag", lead, low=0.15)
pairs_row = accuracy["bag of words and pairs"]
claim(
    "pairs of words: right on held-out combinations, less than a coin",
    pairs_row["held-out combinations"],
    high=0.5,
)

# %% [markdown]
# Pairs and triples do better on what they have seen, and worse than a coin on what they have not: where plain *very good* is held out, training showed *very good* behind *not* only, so the pair counts as blame. The GRU learned how the parts act, and applies it to parts in new company.
#
# One word at a time, what does it think?

# %%
clauses = Clause("the food", "not", "very", "good"), Clause("the view", "", "", "superb")
example = Review(*clauses, "but").text
parts = example.split()
with torch.no_grad():
    logits = [reader(words.encode([" ".join(parts[: i + 1])]))[0] for i in range(len(parts))]
lean = [float(s.softmax(dim=0)[1]) for s in logits]

# %%
figure, ax = plt.subplots(figsize=(8, 2.6))
colours = [plots.BLUE if p > 0.5 else plots.ORANGE for p in lean]
ax.bar(range(len(parts)), [p - 0.5 for p in lean], bottom=0.5, color=colours)
ax.axhline(0.5, color=plots.GREY, lw=1)
ax.set_xticks(range(len(parts)), parts, rotation=30, ha="right")
ax.set(ylim=(0, 1), ylabel="p(positive) so far")
alt = f"Bars of the probability of positive after each word of: {example}"
plots.show(figure, alt=alt)
claim("p(positive) at the end", lean[-1], low=0.8)

# %% [markdown]
# *In the picture:* the probability of "positive" after each word. It was trained on whole reviews only, so the early bars are guesses; the clause behind *but* has the last word.
#
# ### Real reviews · 真实影评
#
# SST-2 holds sentences of film critics (Socher et al. 2013). It is a download of 7 MB, so this cell only uses it where it is: `python -m bigmodel_lib --fetch sst-2` gets it.

# %%
(archive,) = DATASETS["sst-2"]
if is_cached(archive):
    (texts, labels), (others, truth) = load_sst2("train"), load_sst2("test")
    labels, truth = torch.tensor(labels), torch.tensor(truth)
    bag = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=200)).fit(texts, labels)
    film_words = Words(texts, least=2)
    film_reader, _records = train_reader(film_words, texts, labels, steps=300, width=64)
    print(f"bag of words {bag.score(others, truth):.3f}")
    print(f"GRU, 300 steps {score(film_reader, film_words, others, truth):.3f}")
else:
    print("SST-2 is not here; the composed reviews above need no download.")
