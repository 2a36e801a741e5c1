#!/usr/bin/env python3
"""Trains a Hugging Face Transformers model on the CPU and prints one JSON line.

One process is one case, so that the peak memory (VmHWM) belongs to that case alone.

    python transformers_cpu.py --config FOLDER --seq 512 --dtype f32 --experts grouped_mm --malloc keep
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from pathlib import Path

CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")
QUIET = 0.02  # a step was left alone if its threads waited less than this share of it for a core
# Keeps freed memory in the heap: glibc otherwise maps and unmaps every large tensor.
KEEP_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--config", required=True, help="folder with a config.json")
    p.add_argument("--load", help="folder of a checkpoint to start from (default: random weights from --seed)")
    p.add_argument("--save", help="folder to write the initial checkpoint to")
    p.add_argument("--seq", type=int, default=512)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--experts", choices=["eager", "grouped_mm", "batched_mm"], default="grouped_mm")
    p.add_argument("--attn", choices=["sdpa", "eager"], default="sdpa")
    p.add_argument("--compile", action="store_true", help="torch.compile (inductor; needs a C++ compiler)")
    p.add_argument("--optim", choices=["fused", "foreach", "loop"], default="fused", help="AdamW implementation")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--malloc", choices=["default", "keep", "thp"], default="default",
                   help="keep: never give memory back to the kernel; thp: keep, with transparent huge pages")
    p.add_argument("--onednn-cache", type=int, default=1024, help="kernels that oneDNN keeps (bf16 GEMMs; its default is 1024)")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--steps", type=int, default=10, help="timed steps")
    p.add_argument("--warmup", type=int, default=3, help="steps before them, left out of the medians")
    p.add_argument("--patience", type=float, default=0,
                   help="on a shared machine: spend up to this many seconds on waiting for idle moments to step in, "
                        "until --steps steps were left alone by other processes; only those count")
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def set_environment(args):
    """Restarts the program with the variables that are read only at start."""
    wanted = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": str(args.onednn_cache), "OMP_NUM_THREADS": str(args.threads)}
    if args.malloc != "default":
        wanted |= KEEP_MALLOC
    if args.malloc == "thp":
        wanted |= {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}
    if any(os.environ.get(k) != v for k, v in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)


def tokens(seed, step, batch, seq, vocab):
    """Token j of step s: the top 31 bits of splitmix64 at (seed << 40) + s * batch * seq + j, modulo vocab."""
    import numpy as np

    with np.errstate(over="ignore"):
        i = np.arange(batch * seq, dtype=np.uint64) + np.uint64((seed << 40) + step * batch * seq)
        z = (i + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) >> np.uint64(33)
    return (z % np.uint64(vocab)).astype(np.int64).reshape(batch, seq)


def memory(field):
    """A field of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def wait_until_idle(end):
    """Returns when nothing but this thread was runnable for a while, or at end."""
    seen = 0
    while seen < 4 and time.monotonic() < end:
        runnable = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])
        seen = seen + 1 if runnable <= 1 else 0
        time.sleep(0.005)


def waiting_s():
    """Seconds that the threads of this process have been ready to run while other processes had the cores."""
    return sum(int(f.read_text().split()[1]) for f in Path("/proc/self/task").glob("*/schedstat")) / 1e9


def cpu():
    info = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        info.setdefault(key.strip(), value.strip())
    flags = set(info["flags"].split())
    return {
        "model": f"{info['model name']} (family {info['cpu family']}, model {info['model']})",
        "features": [f for f in CPU_FEATURES if f in flags],
        "cores": os.cpu_count(),
    }


def flops_per_token(model, seq):
    """Forward + backward: 6 per active GEMM weight, causal attention and the Mamba-2 scan added. See README.md."""
    c = model.config
    kinds = getattr(c, "layers_block_type", None) or ["full_attention"] * c.num_hidden_layers
    top_k = c.num_experts_per_tok
    active = 0
    for name, p in model.named_parameters():
        if p.dim() < 2 or "embed" in name or "conv1d" in name:
            continue
        routed = ".experts." in name
        active += p.numel() * top_k // p.shape[0] if routed else p.numel()
    attention = 6 * kinds.count("full_attention") * c.num_attention_heads * c.head_dim * (seq + 1)
    scan = 0
    if mamba := kinds.count("linear_attention"):
        width, state, groups, chunk = c.mamba_num_heads * c.mamba_head_dim, c.ssm_state_size, c.n_groups, c.chunk_size
        conv = 2 * c.conv_kernel * (width + 2 * groups * state)
        scan = 3 * mamba * (conv + 2 * chunk * groups * state + 2 * chunk * width + 4 * width * state)
    return active, 6 * active + attention + scan


def main():
    args = arguments()
    set_environment(args)

    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    transformers.logging.set_verbosity_error()
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    path = Path(args.load or args.config)
    how = dict(dtype=dtype, attn_implementation=args.attn, experts_implementation=args.experts)
    if args.load:
        model = AutoModelForCausalLM.from_pretrained(path, **how)
    else:
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), **how)
    model.config.use_cache = False
    model.train()
    if args.save:
        model.save_pretrained(args.save)
    rss_model = memory("VmRSS")
    active, flops = flops_per_token(model, args.seq)

    step_model = torch.compile(model) if args.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.0,
                                  fused=args.optim == "fused", foreach=args.optim == "foreach")
    losses, grad_s, optim_s, quiet = [], [], [], []
    end = time.monotonic() + args.patience

    def enough():
        timed = len(quiet) - args.warmup
        return timed >= args.steps and (sum(quiet[args.warmup:]) >= args.steps or time.monotonic() > end)

    while not enough():
        if args.patience and len(losses) >= args.warmup:
            wait_until_idle(end)
        ids = torch.from_numpy(tokens(args.seed, len(losses), args.batch, args.seq, model.config.vocab_size))
        w0, t0 = waiting_s(), time.perf_counter()
        loss = step_model(input_ids=ids, labels=ids).loss
        loss.backward()
        t1 = time.perf_counter()
        optimizer.step()
        optimizer.zero_grad()
        t2 = time.perf_counter()
        quiet.append(waiting_s() - w0 <= QUIET * (t2 - t0))
        losses.append(loss.item())
        grad_s.append(t1 - t0)
        optim_s.append(t2 - t1)
    if not all(map(math.isfinite, losses)):
        sys.exit(f"loss is not finite: {losses}")

    step_s = [a + b for a, b in zip(grad_s, optim_s)]
    timed = range(args.warmup, len(step_s))
    kept = [i for i in timed if quiet[i]] or list(timed)

    def median(values):
        return statistics.median(values[i] for i in kept)

    rate = args.batch * args.seq / median(step_s)
    print(json.dumps({
        "case": {k: getattr(args, k) for k in
                 ("config", "seq", "batch", "dtype", "experts", "attn", "compile", "optim", "malloc",
                  "onednn_cache", "threads", "seed", "lr")},
        "tokens_per_s": round(rate, 1),
        "tokens_per_s_steps": [round(args.batch * args.seq / s, 1) for s in step_s],
        "ms_step": round(1e3 * median(step_s), 3),
        "ms_fwd_bwd": round(1e3 * median(grad_s), 3),
        "ms_optimizer": round(1e3 * median(optim_s), 3),
        "warmup": args.warmup,
        "steps_quiet": [int(q) for q in quiet],
        "parameters": sum(p.numel() for p in model.parameters()),
        "active_gemm_parameters": active,
        "flops_per_token": flops,
        "gflops": round(rate * flops / 1e9, 2),
        "rss_model_bytes": rss_model,
        "peak_rss_bytes": memory("VmHWM"),
        "loss": losses,
        "load_average": round(os.getloadavg()[0], 2),
        "cpu": cpu(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "blas": "mkl" if torch.backends.mkl.is_available() else "other"},
    }))


if __name__ == "__main__":
    main()
