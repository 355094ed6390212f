"""All functions that names lead to while a function is traced: importing this enters them."""

import gradserve.client.functions.elementwise
import gradserve.client.functions.polynomials
import gradserve.client.functions.vectorizing
import gradserve.client.functions.ways
import gradserve.client.scipy.leading
import gradserve.client.tracing.helpers  # noqa: F401
