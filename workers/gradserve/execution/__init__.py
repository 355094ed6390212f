"""Plans, and the executors that run them."""

from gradserve.execution.executors import EXECUTORS, Executor, Program
from gradserve.execution.numpy.schedule import Step
from gradserve.execution.plan import Plan, make_plan

__all__ = ["EXECUTORS", "Executor", "Plan", "Program", "Step", "make_plan"]
