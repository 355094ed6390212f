"""Functions of SciPy that no tracer can see, under SciPy's names: `from gradserve.client.scipy import linalg, stats`.

They take traced arrays, and numbers as well, with SciPy's arguments. While a function is traced, what it calls as
`scipy.linalg.solve` or `scipy.stats.norm.logpdf` leads here by itself; `from scipy.linalg import solve` cannot, and is
refused with the line to write. SciPy itself need not be installed.
"""
