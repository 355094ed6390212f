"""Solvers of SciPy within a graph: each is given a function, whose captured arrays may be traced.

They take SciPy's arguments and give what SciPy gives, found by the solvers of `gradserve.client.functions`: to the
tolerance that is asked for, with the derivative of the solution in all that moves it. What SciPy does with each step,
with reports and with bounds, which no derivative knows, is refused.
"""
