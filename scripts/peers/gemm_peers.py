#!/usr/bin/env python3
"""The matrix products of the Go benchmarks GEMM and Grouped, as NumPy (OpenBLAS) and PyTorch (MKL) compute them.

Prints lines like those of `go test -bench`, so that both can be read side by side. The figure is that of the
fastest run, as in the Go benchmarks. Usage: gemm_peers.py [--seconds S] [CORES ...], default cores: 1 2.
"""

import argparse
import os
import subprocess
import sys
import time

SQUARE = 1024
EXPERTS = [(16, 128, 128), (16, 128, 64), (32, 512, 512), (32, 512, 256)]  # local experts, n, k


def measure(name, flops, seconds, run):
    run()
    best, runs, end = float("inf"), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    print(f"Benchmark{name} {runs} {best * 1e9:.0f} ns/op {flops / best / 1e9:.1f} GFLOP/s", flush=True)


def products(cores, seconds):
    import numpy
    import torch

    torch.set_num_threads(cores)
    n = SQUARE
    x, w, y = (numpy.random.standard_normal((n, n)).astype(numpy.float32) for _ in range(3))
    tx, tw, ty = (torch.from_numpy(a) for a in (x, w, y))
    for name, ours, theirs in [
        ("linear", lambda: numpy.matmul(x, w.T, out=y), lambda: torch.mm(tx, tw.T, out=ty)),
        ("dgrad", lambda: numpy.matmul(x, w, out=y), lambda: torch.mm(tx, tw, out=ty)),
        ("wgrad", lambda: numpy.matmul(x.T, w, out=y), lambda: torch.mm(tx.T, tw, out=ty)),
    ]:
        measure(f"GEMM/numpy/{name}/{cores}cores", 2 * n**3, seconds, ours)
        measure(f"GEMM/torch/{name}/{cores}cores", 2 * n**3, seconds, theirs)
    for l, n, k in EXPERTS:
        counts = [64 + e * 128 // (l - 1) for e in range(l)]
        x, y, w = [torch.randn(c, k) for c in counts], [torch.randn(c, n) for c in counts], torch.randn(l, n, k)
        dx, z, dw = [torch.empty(c, k) for c in counts], [torch.empty(c, n) for c in counts], torch.empty(l, n, k)

        def linear():
            for e in range(l):
                torch.mm(x[e], w[e].T, out=z[e])

        def dgrad():
            for e in range(l):
                torch.mm(y[e], w[e], out=dx[e])

        def wgrad():
            for e in range(l):
                torch.mm(y[e].T, x[e], out=dw[e])

        for run in (linear, dgrad, wgrad):
            measure(f"Grouped/torch/l{l}_n{n}_k{k}/{run.__name__}/{cores}cores", 2 * sum(counts) * n * k, seconds, run)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each product")
    parser.add_argument("cores", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    if os.environ.get("GEMM_PEERS_CORES"):  # one process for each number of cores: the libraries read it when they load
        products(int(os.environ["GEMM_PEERS_CORES"]), arguments.seconds)
        return
    for cores in arguments.cores:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
        environment = os.environ | threads | {"GEMM_PEERS_CORES": str(cores)}
        subprocess.run([sys.executable, __file__, "--seconds", str(arguments.seconds)], env=environment, check=True)


if __name__ == "__main__":
    main()
