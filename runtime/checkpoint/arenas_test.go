package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"moegen/runtime/safetensors"
)

// The folders of testdata were written by transformers 5.23 (save_pretrained of a Qwen3-MoE of 2 layers, 4
// experts, hidden size 8): "sharded-bf16" with shards of at most 2 KB, "tied-f32" with tied embeddings.

// qwen is the parameters of those models, stored in every way that the map knows: q, k and v stacked, experts
// stacked with gate over up, the router transposed.
func qwen(tied bool) []Param {
	const hidden, vocab, experts, width = 8, 24, 4, 4
	normal := Init{Kind: InitNormal, Std: 0.02}
	single := func(name, tensor string, init Init, shape ...int) Param {
		return Param{Name: name, Shape: shape, Init: init, Pieces: []Piece{{Name: tensor, Shape: shape}}}
	}
	params := []Param{
		single("embed", "model.embed_tokens.weight", normal, vocab, hidden),
		single("norm", "model.norm.weight", Init{Kind: InitOnes}, hidden),
	}
	if !tied {
		params = append(params, single("head", "lm_head.weight", normal, vocab, hidden))
	}
	for l := range 2 {
		hf := fmt.Sprintf("model.layers.%d.", l)
		at := func(name string) string { return fmt.Sprintf("layers.%d.%s", l, name) }
		params = append(params,
			single(at("norm1"), hf+"input_layernorm.weight", Init{Kind: InitOnes}, hidden),
			single(at("norm2"), hf+"post_attention_layernorm.weight", Init{Kind: InitOnes}, hidden),
			single(at("q_norm"), hf+"self_attn.q_norm.weight", Init{Kind: InitOnes}, 4),
			single(at("k_norm"), hf+"self_attn.k_norm.weight", Init{Kind: InitOnes}, 4),
			single(at("o"), hf+"self_attn.o_proj.weight", normal, hidden, 8),
			Param{Name: at("qkv"), Shape: []int{16, hidden}, Init: normal, Pieces: []Piece{
				{Name: hf + "self_attn.q_proj.weight", Shape: []int{8, hidden}},
				{Name: hf + "self_attn.k_proj.weight", Shape: []int{4, hidden}, Offset: 8 * hidden},
				{Name: hf + "self_attn.v_proj.weight", Shape: []int{4, hidden}, Offset: 12 * hidden},
			}},
			Param{Name: at("router"), Shape: []int{hidden, experts}, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.gate.weight", Shape: []int{experts, hidden}, Strides: []int{1, experts}},
			}},
			Param{Name: at("gate_up"), Shape: []int{experts, 2 * width, hidden}, Sharded: true, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.experts.%d.gate_proj.weight", Shape: []int{width, hidden}, Count: experts, Step: 2 * width * hidden},
				{Name: hf + "mlp.experts.%d.up_proj.weight", Shape: []int{width, hidden}, Count: experts, Step: 2 * width * hidden, Offset: width * hidden},
			}},
			Param{Name: at("down"), Shape: []int{experts, hidden, width}, Sharded: true, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.experts.%d.down_proj.weight", Shape: []int{hidden, width}, Count: experts, Step: hidden * width},
			}},
		)
	}
	return params
}

// profile is the element types of values, of gradients and of what an optimizer keeps.
type profile struct {
	value, grad safetensors.DType
	state       []State
}

var (
	float32s = profile{safetensors.F32, safetensors.F32, states(safetensors.F32, "exp_avg", "exp_avg_sq")}
	// split keeps the lower halves of the weights as bits.
	split = profile{safetensors.BF16, safetensors.BF16, append(states(safetensors.BF16, "exp_avg", "exp_avg_sq"), states("I16", "low_bits")...)}
	// master keeps the weights in float32 as well.
	master = profile{safetensors.BF16, safetensors.BF16, states(safetensors.F32, "master", "exp_avg", "exp_avg_sq")}
)

func states(d safetensors.DType, names ...string) []State {
	var list []State
	for _, name := range names {
		list = append(list, State{Name: name, Array: Array{DType: d}})
	}
	return list
}

// place gives the parameters arena offsets for so many ranks and returns the size of the arena in bytes. The gradient of the sharded
// parameters is one array, with gaps between them, and so is what an optimizer keeps for them, and so for the others; each is cut into
// equal shares.
func (f profile) place(params []Param, ranks, ep int) int64 {
	var at int64 = 64
	take := func(n int, d safetensors.DType) Array {
		a := Array{at, d}
		at += int64(d.Bytes()*n) + 64
		return a
	}
	for _, sharded := range []bool{false, true} {
		var group []*Param
		n, parts := 0, ranks
		if sharded {
			parts = ranks / ep
		}
		for i := range params {
			if p := &params[i]; p.Sharded == sharded {
				p.Value, p.State = take(p.LocalElements(ep), f.value), nil
				p.First = n + 3
				n = p.First + p.LocalElements(ep)
				group = append(group, p)
			}
		}
		share := (n + parts - 1) / parts
		grad := take(share, f.grad)
		for _, p := range group {
			p.Grad = grad
		}
		for _, s := range f.state {
			a := take(share, s.DType)
			for _, p := range group {
				p.Share, p.State = share, append(p.State, State{s.Name, a})
			}
		}
	}
	return at
}

// home returns where what an optimizer keeps for element i of a parameter lies: the rank, and the place in its array.
func home(p *Param, ep, i int) (rank, place int) {
	step, local := 1, i
	if p.Sharded {
		step, rank, local = ep, i/p.LocalElements(ep), i%p.LocalElements(ep)
	}
	return rank + step*((p.First+local)/p.Share), (p.First + local) % p.Share
}

// machine is arenas for the parameters in float32.
func machine(params []Param, ranks, ep int) (Memory, [][]byte) {
	return float32s.machine(params, ranks, ep)
}

// machine is arenas for the parameters.
func (f profile) machine(params []Param, ranks, ep int) (Memory, [][]byte) {
	size := f.place(params, ranks, ep)
	arenas := make([][]byte, ranks)
	for r := range arenas {
		arenas[r] = make([]byte, size)
	}
	return Memory{Ranks: ranks, EP: ep, Arena: slicesOf(arenas)}, arenas
}

// slicesOf is an Arena of plain slices.
type slicesOf [][]byte

func (s slicesOf) Write(rank int, off int64, from []byte) error {
	copy(s[rank][off:][:len(from)], from)
	return nil
}

func (s slicesOf) Read(rank int, to []byte, off int64) error {
	copy(to, s[rank][off:][:len(to)])
	return nil
}

// element reads element i of a float32 array of the logical parameter, by the definition of sharding.
func element(arenas [][]byte, p *Param, a Array, ep, i int) float32 {
	rank := 0
	if p.Sharded {
		share := p.Elements() / ep
		rank, i = i/share, i%share
	}
	return *(*float32)(unsafe.Pointer(&arenas[rank][a.At+4*int64(i)]))
}

// elements is the whole logical parameter.
func elements(arenas [][]byte, p *Param, a Array, ep int) []float32 {
	x := make([]float32, p.Elements())
	for i := range x {
		x[i] = element(arenas, p, a, ep, i)
	}
	return x
}

func find(params []Param, name string) *Param {
	return &params[slices.IndexFunc(params, func(p Param) bool { return p.Name == name })]
}

// scramble gives all values and the optimizer's state bits that no narrower type holds; states of two bytes also those
// of signalling NaNs.
func scramble(arenas [][]byte, params []Param, ranks, ep int) {
	for i := range params {
		p := &params[i]
		set := func(a Array, k, rank, index, place int) {
			x := float32(math.Sin(float64(1 + k + 3*index + 7*i)))
			at := arenas[rank][a.At+int64(a.DType.Bytes()*place):]
			switch {
			case a.DType == safetensors.F32:
				*(*float32)(unsafe.Pointer(&at[0])) = x
			case k > 0 && index%7 == 1:
				at[0], at[1] = 0x81, 0xff
			default:
				*(*uint16)(unsafe.Pointer(&at[0])) = uint16(math.Float32bits(x) >> 13 & 0xbfff)
			}
		}
		for rank := range ranks {
			for e := range p.LocalElements(ep) {
				index := e
				if p.Sharded {
					index += rank % ep * p.LocalElements(ep)
				}
				set(p.Value, 0, rank, index, e)
			}
		}
		for index := range p.Elements() {
			rank, place := home(p, ep, index)
			for k, s := range p.State {
				set(s.Array, k+1, rank, index, place)
			}
		}
	}
}

// whole is the bytes of an array of the logical parameter.
func whole(arenas [][]byte, p *Param, a Array, ep int) []byte {
	n := int64(p.LocalElements(ep) * a.DType.Bytes())
	var all []byte
	for rank := range arenas[:ep] {
		if rank == 0 || p.Sharded {
			all = append(all, arenas[rank][a.At:a.At+n]...)
		}
	}
	return all
}

// kept is the bytes of an array that the optimizer keeps, in the order of the logical parameter.
func kept(arenas [][]byte, p *Param, a Array, ep int) []byte {
	var all []byte
	width := int64(a.DType.Bytes())
	for i := range p.Elements() {
		rank, place := home(p, ep, i)
		at := a.At + int64(place)*width
		all = append(all, arenas[rank][at:at+width]...)
	}
	return all
}
