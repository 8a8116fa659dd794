"""The ten digits as words of several languages, and words as rows of letters."""

import torch
from torch import Tensor

# without accents, as on a plain keyboard
DIGIT_WORDS = {
    "English": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "German": ["null", "eins", "zwei", "drei", "vier", "funf", "sechs", "sieben", "acht", "neun"],
    "French": ["zero", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"],
    "Spanish": ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"],
    "Swedish": ["noll", "ett", "tva", "tre", "fyra", "fem", "sex", "sju", "atta", "nio"],
    "Pinyin": ["ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu"],
    # not for training: relatives of those above, and one that is no relative
    "Italian": ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"],
    "Dutch": ["nul", "een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen"],
    "Finnish": [
        "nolla",
        "yksi",
        "kaksi",
        "kolme",
        "nelja",
        "viisi",
        "kuusi",
        "seitseman",
        "kahdeksan",
        "yhdeksan",
    ],
}
LEARNED = ("English", "German", "French", "Spanish", "Swedish", "Pinyin")
UNSEEN = ("Italian", "Dutch", "Finnish")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 10  # letters


def encode_words(words: list[str]) -> Tensor:
    """Letters 1 … 26 of each word, zeros in front: (B, LONGEST).

    In front, so that a recurrent network ends on the last letter.

    Raises:
        ValueError: an empty word, one too long, or one with other signs than a … z.
    """
    for word in words:
        if not (0 < len(word) <= LONGEST and set(word) <= set(LETTERS)):
            raise ValueError(f"need 1 … {LONGEST} letters a … z, got {word!r}")
    rows = [[0] * (LONGEST - len(w)) + [1 + LETTERS.index(c) for c in w] for w in words]
    return torch.tensor(rows)


def digit_words(languages=LEARNED) -> tuple[list[str], Tensor]:
    """The words of these languages in turn, and the digit that each means, (10 · languages,)."""
    words = [word for language in languages for word in DIGIT_WORDS[language]]
    return words, torch.arange(10).repeat(len(languages))
