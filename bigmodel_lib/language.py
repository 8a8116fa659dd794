"""The words that widgets and figures show to readers, ready for other languages.

`_("text")` looks the text up in `bigmodel_lib/locale/<language>/LC_MESSAGES/bigmodel_lib.mo`
for the language of the environment (LANGUAGE, LC_ALL, LC_MESSAGES, LANG); English is the
source and the answer wherever no translation exists.
"""

import functools
import gettext
from pathlib import Path

LOCALE = Path(__file__).parent / "locale"


def _(text: str) -> str:
    """The text in the reader's language."""
    return _catalogue().gettext(text)


@functools.cache  # the search for a catalogue touches the disk, and pictures ask for every label
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation("bigmodel_lib", LOCALE, fallback=True)
