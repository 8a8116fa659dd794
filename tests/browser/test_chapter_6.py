"""Chapter 6's five explorers: one control of each, moved by a reader."""

CHAPTER = "notebooks/06_applications.ipynb"
MODELS = ("LanguageGPT().load(", "NumberTranslator().load(")
LABS = {  # an explorer, and a slider of it that no other has
    "SamplerLab(": "temperature",
    "TranslatorLab(": "tokens written",
    "DenoisingLab(": "look at step",
    "DetectorLab(": "score threshold",
    "SpectrogramLab(": "mel bands",
}


def test_a_slider_of_each_explorer(reader, page):
    reader.run_widgets(CHAPTER, *MODELS, *LABS, sliders=tuple(LABS.values()))
    for slider in LABS.values():
        reader.press(reader.lab(slider), slider, "Home")
    assert page.errors == []
