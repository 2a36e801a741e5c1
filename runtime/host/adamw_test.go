package host

import (
	"math"
	"testing"
)

func TestSumSquaresAndClipScale(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 1000, 3*taskElements + 77} {
			x := normal(1, n)
			want := inner(double(x), double(x))
			onAnyCores(t, func(p *Pool) []float32 {
				sum := []float64{math.NaN()}
				SumSquares(p, x, true, sum)
				if math.Abs(sum[0]-want) > 1e-13*want {
					t.Errorf("%d elements: %v, want %v", n, sum[0], want)
				}
				SumSquares(p, x, false, sum)
				if math.Abs(sum[0]-2*want) > 2e-13*want {
					t.Errorf("%d elements twice: %v, want %v", n, sum[0], 2*want)
				}
				high := float32(sum[0])
				return []float32{high, float32(sum[0] - float64(high))}
			})
		}
	})
	for _, c := range []struct{ limit, wantScale float64 }{{0, 1}, {10, 1}, {1, 1 / (5 + 1e-6)}} {
		record := make([]float32, RecordLen)
		record[RecordMaxNorm] = float32(c.limit)
		norm, scale := poison(1), poison(1)
		ClipScale(record, []float64{9, 16}, norm, scale)
		if norm[0] != 5 || scale[0] != float32(c.wantScale) {
			t.Errorf("limit %v: norm %v scale %v, want 5 and %v", c.limit, norm[0], scale[0], c.wantScale)
		}
	}
}

// adamW64 is torch.optim.AdamW's single-tensor form in float64.
func adamW64(step int, lr, beta1, beta2, eps, decay, clip float64, grad, value, m, v []float64) {
	for i := range value {
		g := grad[i] * clip
		value[i] *= 1 - lr*decay
		m[i] += (g - m[i]) * (1 - beta1)
		v[i] = v[i]*beta2 + (1-beta2)*g*g
		bias1, bias2 := 1-math.Pow(beta1, float64(step)), 1-math.Pow(beta2, float64(step))
		value[i] -= lr / bias1 * m[i] / (math.Sqrt(v[i])/math.Sqrt(bias2) + eps)
	}
}

func TestAdamW(t *testing.T) {
	const lr, beta1, beta2, eps, decay = 1e-3, 0.9, 0.999, 1e-8, 0.01
	const n, steps = taskElements + 301, 20
	onEveryISA(t, func(t *testing.T) {
		initial := normal(1, n)
		onAnyCores(t, func(p *Pool) []float32 {
			value, m, v := append([]float32(nil), initial...), make([]float32, n), make([]float32, n)
			wantValue, wantM, wantV := double(initial), make([]float64, n), make([]float64, n)
			for step := 1; step <= steps; step++ {
				grad, clip := normal(uint64(step), n), []float32{1 / float32(step)}
				record := make([]float32, RecordLen)
				record[RecordLR], record[RecordEps], record[RecordDecay] = lr, eps, decay
				record[RecordBeta1], record[RecordBeta2] = beta1, beta2
				record[RecordGain1], record[RecordGain2] = 1-beta1, 1-beta2
				record[RecordBias1] = float32(1 - math.Pow(beta1, float64(step)))
				record[RecordBias2] = float32(1 - math.Pow(beta2, float64(step)))
				AdamW(p, 1, 1, clip, record, grad, value, m, v)
				adamW64(step, lr, beta1, beta2, eps, decay, float64(clip[0]), double(grad), wantValue, wantM, wantV)
			}
			// 20 updates round the value 20 times: √20·2⁻²⁵ at most. The moments round a few times a step, mostly forgotten.
			wantClose(t, "value", value, wantValue, 1.4e-7)
			wantClose(t, "m", m, wantM, 3e-7)
			wantClose(t, "v", v, wantV, 3e-7)
			// What was learnt, apart from where it started: its error is that of the value, 1/100 as large in it.
			for i := range value {
				wantValue[i] -= float64(initial[i])
				value[i] -= initial[i]
			}
			wantClose(t, "change of value", value, wantValue, 3e-5)
			return value
		})
	})
}
