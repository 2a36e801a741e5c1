"""Holds the logits of a training binary against those of Transformers, on a checkpoint that the binary wrote.

    same_logits.py TRAINER CHECKPOINT TEXT ROWS TOKENS

Both run in bfloat16, so they differ by its roundings; Transformers in float32 is the measure. Exit status 1 if the binary
is further from it than 1.5 times Transformers in bfloat16, or if a weight is missing or left over.
"""
import glob, json, os, subprocess, sys, tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

trainer, checkpoint, text, rows, tokens = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
files = sorted(glob.glob(text + "/**/*.go", recursive=True))
data = b"".join(open(f, "rb").read() for f in files[:50])[: rows * tokens]
ids = torch.tensor(list(data), dtype=torch.int64).view(1, rows, tokens)
with tempfile.TemporaryDirectory() as folder:
    batch, case, out = (os.path.join(folder, f) for f in ("batch.safetensors", "case.json", "out.safetensors"))
    save_file({"input_ids": ids, "labels": ids.clone()}, batch)
    adamw = {"lr": 0.0, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    json.dump({"steps": 1, "optimizer": adamw, "max_grad_norm": 1.0, "router_aux_loss_coef": 0.0}, open(case, "w"))
    subprocess.run([trainer, "probe", "--checkpoint", checkpoint, "--batch", batch, "--case", case, "--out", out], check=True)
    ours = load_file(out)["logits"]


def logits(dtype):
    model, info = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype, output_loading_info=True)
    wrong = {k: v for k, v in info.items() if v}
    model.cuda().eval()
    with torch.no_grad():
        return torch.stack([model(ids[0, r : r + 1].cuda(), use_cache=False).logits[0].float().cpu() for r in range(rows)]), wrong


def error(x):
    return ((x - exact).norm() / exact.norm()).item()


exact, wrong = logits(torch.float32)
peer, _ = logits(torch.bfloat16)
print(f"keys that are missing, left over or misshapen: {wrong or 'none'}")
print(f"logits against Transformers in float32: {error(ours):.3e}; Transformers in bfloat16: {error(peer):.3e}")
sys.exit(bool(wrong) or error(ours) > 1.5 * error(peer))
