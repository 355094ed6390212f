"""What `helm test` runs: asks the service for gradients whose values are known in closed form."""

import os
import sys

import numpy as np

from gradserve.client import Client

address = os.environ["GRADSERVE_ADDRESS"]
placements = os.environ["GRADSERVE_PLACEMENTS"].split()
authority = os.environ.get("GRADSERVE_CA")

rng = np.random.default_rng(0)
target, points = rng.standard_normal(16), rng.standard_normal((8, 16))

with Client(address, tls=authority, timeout=120) as client:
    function = client.function(lambda w: np.sum((w - target) ** 2), w=points[0])
    for placement in placements:  # front-end: in the process that answers; cluster: in a Ray worker
        function.placement = placement
        values, gradients = function.value_and_grad(points, batch=True)
        if not np.allclose(gradients, 2 * (points - target), rtol=1e-12, atol=0):
            sys.exit(f"{address} computes wrong gradients ({placement})")
        if not np.allclose(values, ((points - target) ** 2).sum(axis=1), rtol=1e-12, atol=0):
            sys.exit(f"{address} computes wrong values ({placement})")
        print(f"{address} computed {len(points)} gradients ({placement}): correct")
