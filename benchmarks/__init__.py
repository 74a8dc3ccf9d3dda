"""Measurements: each module is one benchmark, started as `python -m benchmarks.bench_NAME`."""

import os

# One thread of BLAS for each process: several seeds run side by side, and on a busy machine more threads cost far
# more than they give. This must stand before NumPy loads, and is inherited by the processes of `run_seeds`.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
