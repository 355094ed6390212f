"""scipy.optimize, of traced arrays as well."""

from gradserve.client.scipy.mirror import members

__getattr__, __dir__ = members("scipy.optimize")
