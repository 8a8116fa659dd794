"""Explorers: pictures that follow the reader's hand. Each is imported when it is asked for."""

from importlib import import_module

# A chapter needs one or two of them, and all together import most of the library
MODULES = {
    "AdversarialLab": "adversarial_lab",
    "AttentionExplorer": "attention_explorer",
    "BackpropStepper": "backprop_stepper",
    "DenoisingLab": "denoising_lab",
    "DetectorLab": "detector_lab",
    "DrawDigit": "draw_digit",
    "EfficiencyLab": "efficiency_lab",
    "GAN1D": "gan_1d",
    "GANLab": "gan_lab",
    "ModelBuilder": "model_builder",
    "OptimizerRace": "optimizer_race",
    "PipelineLab": "pipeline_lab",
    "ResourceCalculator": "resource_calculator",
    "SamplerLab": "sampler_lab",
    "ScalingLab": "scaling_lab",
    "SpectrogramLab": "spectrogram_lab",
    "TranslatorLab": "translator_lab",
    "VAELab": "vae_lab",
}

__all__ = sorted(MODULES)


def __getattr__(name: str):
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *MODULES])
