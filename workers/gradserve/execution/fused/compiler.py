"""LLVM: from the text of a module to machine code in this process."""

from __future__ import annotations

import functools
import itertools
import threading
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from gradserve.execution.fused.store import stored

_LOCK = threading.Lock()
"""LLVM works for one thread at a time."""


def _target() -> llvm.TargetMachine:
    """Code for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=2, jit=True)


@functools.cache
def _compiler() -> tuple[llvm.TargetMachine, llvm.LLJIT]:
    """What compiles, and what links into this process: which owns a target of its own."""
    return _target(), llvm.create_lljit_compiler(_target())


def object_of(text: str) -> bytes:
    """The machine code of a module, from disk if it was compiled before."""
    versions = f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_host_cpu_name()}"
    with _LOCK:
        return stored(f"{versions} {llvm.get_host_cpu_features().flatten()}\n{text}", lambda: _compiled(text))


def _compiled(text: str) -> bytes:
    target, _ = _compiler()
    module = llvm.parse_assembly(text)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code


_numbers = itertools.count()


def linked(code: bytes, symbol: str) -> Any:
    """Machine code in this process, for as long as this is kept; it has the address of its symbol."""
    with _LOCK:
        _, linker = _compiler()
        library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
        return library.link(linker, f"program {next(_numbers)}")
