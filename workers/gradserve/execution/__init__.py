"""Programs, and the executors that run them."""

from gradserve.execution.executor import Executor, Prepared, Schedule
from gradserve.execution.executors import EXECUTORS, candidates
from gradserve.execution.program import Instance, Program, instance_of

__all__ = ["EXECUTORS", "Executor", "Instance", "Prepared", "Program", "Schedule", "candidates", "instance_of"]
