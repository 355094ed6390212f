"""Times gradserve against its peers and holds it against its floors; what `make bench` runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # read once, when NumPy is first imported
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
sys.path.insert(0, str(HERE.parents[1]))

if __name__ == "__main__":  # processes that are spawned import this file as well
    from tests.bench.main import main

    sys.exit(main(HERE))
