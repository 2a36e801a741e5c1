package train

import (
	"math"
	"testing"

	"moegen/runtime/data"
	"moegen/runtime/safetensors"
)

// reference is the bigram model in float64 and plain loops: the numbers that training is compared with.
type reference struct {
	params map[string][]float64 // by name on disk
	m, v   map[string][]float64 // AdamW's moments
}

// names are those of a reference's parameters in the order in which they are summed.
var names = []string{
	"model.embed_tokens.weight", "lm_head.weight",
	"model.experts.0.weight", "model.experts.1.weight", "model.experts.2.weight", "model.experts.3.weight",
}

func scaleName(token int32) string { return names[2+int(token)%testExperts] }

// loadReference reads the weights of a checkpoint folder.
func loadReference(t *testing.T, dir string) *reference {
	t.Helper()
	file, err := safetensors.OpenDir(dir, "model")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := &reference{map[string][]float64{}, map[string][]float64{}, map[string][]float64{}}
	for _, name := range names {
		r.params[name] = readTensor(t, file, name)
		r.m[name], r.v[name] = make([]float64, len(r.params[name])), make([]float64, len(r.params[name]))
	}
	return r
}

func readTensor(t *testing.T, file *safetensors.Reader, name string) []float64 {
	t.Helper()
	tensor := file.Tensor(name)
	if tensor == nil {
		t.Fatalf("%s has no tensor %s", file.Path(), name)
	}
	narrow := make([]float32, tensor.Elements())
	if err := tensor.ReadFloat32(0, narrow); err != nil {
		t.Fatal(err)
	}
	wide := make([]float64, len(narrow))
	for i, x := range narrow {
		wide[i] = float64(x)
	}
	return wide
}

// row is a row of a table.
func row(table []float64, i int32) []float64 { return table[int(i)*testHidden:][:testHidden] }

// hidden is the state of a token whose document begins with the token first.
func (r *reference) hidden(token, first int32) []float64 {
	x := make([]float64, testHidden)
	embed, scale := r.params[names[0]], r.params[scaleName(token)]
	for d := range x {
		x[d] = (row(embed, token)[d] + row(embed, first)[d]/2) * scale[d]
	}
	return x
}

func (r *reference) logits(token, first int32) []float64 {
	x, logits := r.hidden(token, first), make([]float64, testVocab)
	for v := range logits {
		for d := range x {
			logits[v] += x[d] * row(r.params[names[1]], int32(v))[d]
		}
	}
	return logits
}

// gradient returns the mean cross-entropy of batches over all their targets, plus aux times the sum of the squared
// scales, and its gradient.
func (r *reference) gradient(batches []data.Batch, seq int, aux float64) (loss, auxLoss float64, grad map[string][]float64) {
	grad = map[string][]float64{}
	for _, name := range names {
		grad[name] = make([]float64, len(r.params[name]))
	}
	targets := 0
	for _, b := range batches {
		targets += targetCount(b)
	}
	embed, head := r.params[names[0]], r.params[names[1]]
	for _, b := range batches {
		for i, token := range b.Tokens {
			target := b.Targets[i]
			if target < 0 {
				continue
			}
			first := b.Tokens[i/seq*seq+int(b.Starts[i])]
			x, p := r.hidden(token, first), r.logits(token, first)
			sum := 0.0
			for _, z := range p {
				sum += math.Exp(z)
			}
			loss += (math.Log(sum) - p[target]) / float64(targets)
			dx := make([]float64, testHidden)
			for v, z := range p {
				g := math.Exp(z) / sum
				if int32(v) == target {
					g--
				}
				for d := range dx {
					dx[d] += g / float64(targets) * row(head, int32(v))[d]
					row(grad[names[1]], int32(v))[d] += g / float64(targets) * x[d]
				}
			}
			scale, dscale := r.params[scaleName(token)], grad[scaleName(token)]
			for d := range dx {
				dscale[d] += dx[d] * (row(embed, token)[d] + row(embed, first)[d]/2)
				row(grad[names[0]], token)[d] += dx[d] * scale[d]
				row(grad[names[0]], first)[d] += dx[d] * scale[d] / 2
			}
		}
	}
	for _, name := range names[2:] {
		for i, s := range r.params[name] {
			auxLoss += s * s
			grad[name][i] += 2 * aux * s
		}
	}
	return loss + aux*auxLoss, auxLoss, grad
}

// step is a training step, counted from 1: gradient, clipping, AdamW. It returns the loss and the gradient's norm.
func (r *reference) step(step int, batches []data.Batch, seq int, aux, lr float64, o optimizer) (loss, norm float64) {
	loss, _, grad := r.gradient(batches, seq, aux)
	for _, name := range names {
		for _, g := range grad[name] {
			norm += g * g
		}
	}
	norm = math.Sqrt(norm)
	scale := 1.0
	if o.clip > 0 {
		scale = min(1, o.clip/(norm+1e-6))
	}
	for _, name := range names {
		m, v, value := r.m[name], r.v[name], r.params[name]
		for i, g := range grad[name] {
			g *= scale
			m[i] = o.beta1*m[i] + (1-o.beta1)*g
			v[i] = o.beta2*v[i] + (1-o.beta2)*g*g
			mHat := m[i] / (1 - math.Pow(o.beta1, float64(step)))
			vHat := v[i] / (1 - math.Pow(o.beta2, float64(step)))
			value[i] -= lr*o.decay*value[i] + lr*mHat/(math.Sqrt(vHat)+o.eps)
		}
	}
	return loss, norm
}
