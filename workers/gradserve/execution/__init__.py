"""Programs, and the executors that run them."""

from gradserve.execution.executor import Executor, Prepared, Schedule, Stopped
from gradserve.execution.executors import candidates, compiler, executor, installed
from gradserve.execution.program import Instance, Program, instance_of

__all__ = [
    "Executor",
    "Instance",
    "Prepared",
    "Program",
    "Schedule",
    "Stopped",
    "candidates",
    "compiler",
    "executor",
    "installed",
    "instance_of",
]
