"""What XLA itself makes of a program's text."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax._src import compiler, xla_bridge
from jax._src.interpreters import mlir
from jaxlib import _jax
from jaxlib.mlir import ir


def results(text: str, *arguments: Any) -> list[np.ndarray]:
    """The results of a program's public function, which is called main."""
    backend = xla_bridge.get_backend("cpu")
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        packed = mlir.module_to_bytecode(module)
    devices = _jax.DeviceList(tuple(backend.devices()[:1]))
    program = backend.compile_and_load(packed, devices, compiler.get_compile_options(1, 1))
    made = program.execute_sharded([jax.device_put(np.asarray(each)) for each in arguments])
    return [np.asarray(parts[0]) for parts in made.disassemble_into_single_device_arrays()]
