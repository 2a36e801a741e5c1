"""Writes reference.json: operations of package ir computed by PyTorch and Transformers in float64.

    python reference.py > reference.json

Each case is the text form of a graph, its operands and what its values must be. An operand of a case is named as
in the graph; "record" lists pairs of index and value.
"""

import json

import torch
from transformers.models.qwen3_moe import modeling_qwen3_moe as qwen

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
cases = []


def case(name, graph, operands, want, record=()):
    def flat(d):
        return {k: v.double().flatten().tolist() for k, v in d.items()}

    cases.append({"name": name, "graph": graph.strip() + "\n", "in": flat(operands), "want": flat(want), "record": list(record)})


def randn(*shape):
    return torch.randn(*shape)


# rms_norm
x, w = randn(3, 6), randn(6)
rms = torch.nn.functional.rms_norm(x, (6,), w, 1e-3)
case("rms_norm", """
graph g ranks 1
input x f32[3 6]
input w f32[6]
y, rstd = rms_norm(x, w) {eps=0.001}
""", {"x": x, "w": w}, {"y": rms})

# qk_norm, rope_table, rope, attention: two rows of 5 tokens, 4 query and 2 key heads of 6 dims
b, s, h, g, p = 2, 5, 4, 2, 6
qkv, wq, wk = randn(b * s, (h + 2 * g) * p), randn(p), randn(p)


def heads(x, first, n):
    return x[:, first * p:(first + n) * p].reshape(b, s, n, p).transpose(1, 2)


def unheads(x):
    return x.transpose(1, 2).reshape(b * s, -1)


def head_norm(x, w):
    return torch.nn.functional.rms_norm(x, (p,), w, 1e-3)


q, k, v = heads(qkv, 0, h), heads(qkv, h, g), heads(qkv, h + g, g)
normed = torch.cat([unheads(head_norm(q, wq)), unheads(head_norm(k, wk)), unheads(v)], 1)
case("qk_norm", """
graph g ranks 1
input qkv f32[10 48]
input wq f32[6]
input wk f32[6]
y = qk_norm(qkv, wq, wk) {heads=4, kv_heads=2, eps=0.001}
""", {"qkv": qkv, "wq": wq, "wk": wk}, {"y": normed})

inv_freq = 1 / 100.0 ** (torch.arange(0, p, 2) / p)
positions = torch.tensor([0, 1, 2, 3, 4, 0, 1, 0, 1, 2])
angle = torch.arange(s)[:, None] * inv_freq
emb = torch.cat([angle, angle], 1)[positions].reshape(b, s, p)
rq, rk = qwen.apply_rotary_pos_emb(q, k, emb.cos(), emb.sin())
case("rope", """
graph g ranks 1
input qkv f32[10 48]
input positions i32[10]
cos, sin = rope_table() {seq=5, inv_freq=%s, scale=1.0, dtype="f32"}
y = rope(qkv, cos, sin, positions) {heads=4, kv_heads=2}
""" % str(inv_freq.tolist()).replace(",", ""), {"qkv": qkv, "positions": positions},
     {"cos": angle.cos(), "sin": angle.sin(), "y": torch.cat([unheads(rq), unheads(rk), unheads(v)], 1)})

starts = torch.tensor([0, 0, 0, 0, 0, 0, 0, 2, 2, 2])
key = torch.arange(s)
mask = (key[None, None] <= key[None, :, None]) & (key[None, None] >= starts.reshape(b, s, 1))
k4, v4 = k.repeat_interleave(h // g, 1), v.repeat_interleave(h // g, 1)
score = (q @ k4.transpose(2, 3) * 0.3).masked_fill(~mask[:, None], -torch.inf)
o = torch.nn.functional.scaled_dot_product_attention(q, k4, v4, attn_mask=mask[:, None], scale=0.3)
case("attention", """
graph g ranks 1
input qkv f32[10 48]
input starts i32[10]
o, lse = attention(qkv, starts) {rows=2, heads=4, kv_heads=2, scale=0.3}
""", {"qkv": qkv, "starts": starts}, {"o": unheads(o), "lse": score.logsumexp(-1).transpose(1, 2)})

# router, its statistics and the auxiliary loss over two layers, by Transformers' own function
t, e, top = 7, 5, 2
logits = [randn(t, e), randn(t, e)]
chosen = [torch.topk(z.softmax(-1), top) for z in logits]
aux = qwen.load_balancing_loss_func(tuple(logits), e, top)
case("router and auxiliary loss", """
graph g ranks 1
input record f32[16]
input a f32[7 5]
input b f32[7 5]
aidx, aw = router(a, _) {top_k=2, renorm=true}
bidx, bw = router(b, _) {top_k=2, renorm=false}
astats = router_stats(a, aidx)
bstats = router_stats(b, bidx)
stats = add(astats, bstats)
aux = aux_loss(stats, record) {rows=14.0}
""", {"a": logits[0], "b": logits[1]},
     {"aidx": chosen[0].indices, "aw": chosen[0].values / chosen[0].values.sum(-1, keepdim=True),
      "bidx": chosen[1].indices, "bw": chosen[1].values, "aux": aux})

# the experts of a layer: every token through every chosen expert, one by one
d, f, e, t, top = 4, 3, 5, 6, 2
x, router_w = randn(t, d), randn(e, d)
gate_up, down = randn(e, 2 * f, d), randn(e, d, f)
w, idx = torch.topk((x @ router_w.T).softmax(-1), top)
y = torch.zeros(t, d)
for i in range(t):
    for j in range(top):
        gate, up = (gate_up[idx[i, j]] @ x[i]).chunk(2)
        y[i] += w[i, j] * (down[idx[i, j]] @ (torch.nn.functional.silu(gate) * up))
case("experts", """
graph g ranks 1
input x f32[6 4]
input router f32[5 4]
input gate_up f32[5 6 4]
input down f32[5 4 3]
logits = linear(x, router, _, _)
idx, w = router(logits, _) {top_k=2, renorm=false}
offsets, pairs, slots = route(idx) {experts=5, expected=0}
xr = permute(x, offsets, pairs) {top_k=2}
gu = grouped_linear(xr, gate_up, offsets, _) {top_k=0}
a = swiglu(gu, offsets)
d = grouped_linear(a, down, offsets, _) {top_k=0}
y = unpermute(d, offsets, pairs, slots, w, _, _) {top_k=2}
""", {"x": x, "router": router_w, "gate_up": gate_up, "down": down}, {"y": y})

# embedding and cross entropy
table, tokens, targets = randn(9, 4), torch.tensor([3, 8, 0, 3, 5]), torch.tensor([8, 0, -100, 5, 1])
head, bias = randn(9, 4), randn(9)
z = table[tokens] @ head.T + bias
case("embedding, linear and cross entropy", """
graph g ranks 1
input record f32[16]
input tokens i32[5]
input targets i32[5]
input table f32[9 4]
input head f32[9 4]
input bias f32[9]
x = embedding(tokens, table) {padding=-1}
logits = linear(x, head, bias, _)
loss = cross_entropy(logits, targets, record)
""", {"tokens": tokens, "targets": targets, "table": table, "head": head, "bias": bias},
     {"logits": z, "loss": torch.nn.functional.cross_entropy(z, targets, reduction="sum") * 0.25}, [(8, 0.25)])

# two steps of AdamW with clipping and decay
value = torch.nn.Parameter(randn(6))
opt = torch.optim.AdamW([value], lr=0.1, betas=(0.8, 0.9), eps=1e-4, weight_decay=0.05)
state = {"m": torch.zeros(6), "v": torch.zeros(6)}
for step in (1, 2):
    value.grad = randn(6) * step * step
    before = {"value": value.data.clone(), "grad": value.grad.clone(), **{k: v.clone() for k, v in state.items()}}
    norm = torch.nn.utils.clip_grad_norm_([value], 3.0)
    opt.step()
    state = {"m": opt.state[value]["exp_avg"], "v": opt.state[value]["exp_avg_sq"]}
    case("adamw, step %d" % step, """
graph g ranks 1
input record f32[16]
input value f32[6]
input grad f32[6]
input m f32[6]
input v f32[6]
sum = sum_squares(grad, _)
norm, scale = clip_scale(record, sum)
value1, m1, v1 = adamw(value, grad, m, v, scale, record) {parts=1, stride=1}
""", before, {"norm": norm, "value1": value.data, "m1": state["m"], "v1": state["v"]},
         [(0, 0.1), (1, 0.8), (2, 0.9), (3, 1e-4), (4, 0.05), (5, 1 - 0.8**step), (6, 1 - 0.9**step), (7, 3.0)])

# embedding with a padding token, which occurs but gets no gradient
table, tokens, dy = torch.nn.Parameter(randn(6, 4)), torch.tensor([3, 1, 5, 3, 1, 0]), randn(6, 4)
x = torch.nn.functional.embedding(tokens, table, padding_idx=3)
x.backward(dy)
case("embedding, padding", """
graph g ranks 1
input tokens i32[6]
input table f32[6 4]
input dy f32[6 4]
x = embedding(tokens, table) {padding=3}
dtable = embedding_grad(tokens, dy, _, _) {vocab=6, padding=3}
""", {"tokens": tokens, "table": table.data, "dy": dy}, {"x": x.data, "dtable": table.grad})

print("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]")
