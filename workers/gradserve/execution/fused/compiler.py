"""LLVM: from the text of a module to machine code for this processor."""

from __future__ import annotations

import functools
import threading

import llvmlite
import llvmlite.binding as llvm

from gradserve.execution.fused.elsewhere import Elsewhere
from gradserve.execution.fused.store import stored

_LOCK = threading.Lock()
"""LLVM compiles for one thread at a time."""
_LOST, _LOST_PER_BYTE = 56 << 10, 4
"""What LLVM never frees of a compilation, and of each byte of its text, although all is disposed of; as measured."""
LOST_BYTES = 32 << 20
"""So much may be lost in one process; what comes after is compiled in others, which end."""


def target() -> llvm.TargetMachine:
    """Code for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=2, jit=True)


_target = functools.cache(target)


def object_of(text: str) -> bytes:
    """The machine code of a module, from disk if it was compiled before."""
    versions = f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_host_cpu_name()}"
    with _LOCK:
        return stored(f"{versions} {llvm.get_host_cpu_features().flatten()}\n{text}", lambda: _COMPILER.compiled(text))


class Compiler:
    """Compiles here, and in another process when much has been lost here. For one thread at a time."""

    def __init__(self, most: int = LOST_BYTES) -> None:
        """Nothing is lost yet; `most` is what may be, here and in each of the processes that follow."""
        self._most = most
        self._lost = 0
        self._elsewhere: Elsewhere | None = None

    def compiled(self, text: str) -> bytes:
        """The machine code of a module."""
        losing = _LOST + _LOST_PER_BYTE * len(text)
        if self._elsewhere is None and self._lost + losing <= self._most:
            self._lost += losing
            return compiled(text)
        if self._elsewhere is None or self._elsewhere.lost + losing > self._most:
            self._end()
            self._elsewhere = Elsewhere()
        self._elsewhere.lost += losing
        code = self._elsewhere.compiled(text)
        if code is None:  # the process has ended: perhaps it was killed, perhaps LLVM refuses the text and says why
            self._end()
            code = compiled(text)
        return code

    def _end(self) -> None:
        if self._elsewhere is not None:
            self._elsewhere.end()
            self._elsewhere = None


_COMPILER = Compiler()


def compiled(text: str) -> bytes:
    """The machine code of a module, compiled here and now."""
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(_target(), options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = _target().emit_object(module)
    return code
