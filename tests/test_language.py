"""Words for readers: English unless a catalogue says otherwise."""

import gettext
import struct

import pytest

from bigmodel_lib import language
from bigmodel_lib.language import _

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture(autouse=True)
def no_language(monkeypatch):
    """An environment without a language, and no catalogue in memory before or after."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    language._catalogue.cache_clear()
    yield
    language._catalogue.cache_clear()


@pytest.fixture
def chinese(tmp_path, monkeypatch):
    """A folder with one Chinese catalogue that knows "step" and "loss"."""
    path = tmp_path / "zh_CN" / "LC_MESSAGES" / "bigmodel_lib.mo"
    path.parent.mkdir(parents=True)
    header = "Content-Type: text/plain; charset=UTF-8\n"
    path.write_bytes(compiled({"": header, "loss": "损失", "step": "步"}))
    monkeypatch.setattr(language, "LOCALE", tmp_path)


def compiled(texts: dict[str, str]) -> bytes:
    """A catalogue in gettext's binary format (GNU gettext manual, "The Format of GNU MO Files")."""
    columns = [sorted(texts), [texts[key] for key in sorted(texts)]]
    start = 28 + 16 * len(texts)
    tables, strings = b"", b""
    for column in columns:
        for text in column:
            data = text.encode()
            tables += struct.pack("<II", len(data), start + len(strings))
            strings += data + b"\0"
    return (
        struct.pack("<7I", 0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 0)
        + tables
        + strings
    )


def test_english_where_the_environment_names_no_language():
    assert _("step") == "step"
    assert _("D's belief that an image is real") == "D's belief that an image is real"


def test_english_where_there_is_no_catalogue(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "LOCALE", tmp_path)
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert _("step") == "step"


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_catalogue_changes_the_words(monkeypatch, variable):
    monkeypatch.setenv(variable, "zh_CN.UTF-8")
    assert _("step") == "步"
    assert _("loss") == "损失"


@pytest.mark.usefixtures("chinese")
def test_a_word_that_is_not_in_the_catalogue_stays_english(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert _("fair share") == "fair share"


@pytest.mark.usefixtures("chinese")
def test_another_language_stays_english(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "fr")
    assert _("step") == "step"


def test_the_catalogue_is_looked_for_once(monkeypatch):
    searches = []

    def search(*args, **settings):
        searches.append(args)
        return gettext.NullTranslations()

    monkeypatch.setattr(gettext, "translation", search)
    for text in ("step", "loss", "step"):
        assert _(text) == text
    assert searches == [("bigmodel_lib", language.LOCALE)]


def test_catalogues_lie_inside_the_package():
    assert language.LOCALE.parts[-2:] == ("bigmodel_lib", "locale")
