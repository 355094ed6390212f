"""Graphs that come from elsewhere than traced code."""

from gradserve.client.importers.aten import from_torch
from gradserve.client.importers.jaxprs import from_jax
from gradserve.client.importers.onnx import from_onnx
from gradserve.client.importers.stablehlo import from_stablehlo

__all__ = ["from_jax", "from_onnx", "from_stablehlo", "from_torch"]
