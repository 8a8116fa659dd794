"""Explorers: pictures that follow the reader's hand."""

from bigmodel_lib.widgets.adversarial_lab import AdversarialLab
from bigmodel_lib.widgets.attention_explorer import AttentionExplorer
from bigmodel_lib.widgets.backprop_stepper import BackpropStepper
from bigmodel_lib.widgets.denoising_lab import DenoisingLab
from bigmodel_lib.widgets.detector_lab import DetectorLab
from bigmodel_lib.widgets.draw_digit import DrawDigit
from bigmodel_lib.widgets.efficiency_lab import EfficiencyLab
from bigmodel_lib.widgets.gan_1d import GAN1D
from bigmodel_lib.widgets.gan_lab import GANLab
from bigmodel_lib.widgets.model_builder import ModelBuilder
from bigmodel_lib.widgets.optimizer_race import OptimizerRace
from bigmodel_lib.widgets.pipeline_lab import PipelineLab
from bigmodel_lib.widgets.resource_calculator import ResourceCalculator
from bigmodel_lib.widgets.sampler_lab import SamplerLab
from bigmodel_lib.widgets.scaling_lab import ScalingLab
from bigmodel_lib.widgets.spectrogram_lab import SpectrogramLab
from bigmodel_lib.widgets.translator_lab import TranslatorLab
from bigmodel_lib.widgets.vae_lab import VAELab

__all__ = [
    "GAN1D",
    "AdversarialLab",
    "AttentionExplorer",
    "BackpropStepper",
    "DenoisingLab",
    "DetectorLab",
    "DrawDigit",
    "EfficiencyLab",
    "GANLab",
    "ModelBuilder",
    "OptimizerRace",
    "PipelineLab",
    "ResourceCalculator",
    "SamplerLab",
    "ScalingLab",
    "SpectrogramLab",
    "TranslatorLab",
    "VAELab",
]
