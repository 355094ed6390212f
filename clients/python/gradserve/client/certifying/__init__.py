"""Certificates for gradients that come from anywhere: of black-box functions, which run here, and of graphs."""

from gradserve.client.certifying.certificate import Certificate
from gradserve.client.certifying.certify import certify, moved

__all__ = ["Certificate", "certify", "moved"]
