"""Explorers: pictures that follow the reader's hand."""

from bigmodel_lib.widgets.gan_lab import GANLab

__all__ = ["GANLab"]
