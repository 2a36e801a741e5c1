package host_test

import (
	"testing"
	"time"

	"moegen/runtime/host"
)

// A profile books every kernel in its family, and nothing once it is taken away. The test stands outside of the
// package, as programs do: that is how a kernel is told from what it calls.
func TestProfile(t *testing.T) {
	p := host.NewPool(2)
	defer p.Close()
	x, w, y := make([]float32, 64*64), make([]float32, 64*64), make([]float32, 64*64)
	const b, s, h, g, d = 1, 16, 2, 1, 8
	qkv, o := make([]float32, s*(h+2*g)*d), make([]float32, s*h*d)
	lse, ws := make([]float32, s*h), make([]float32, host.AttentionWorkspace(b, s, h, g, d))
	kernels := []struct {
		name string
		run  func()
		time func(*host.Profile) time.Duration
	}{
		{"gemm", func() { host.Linear(p, 64, 64, 64, x, w, nil, nil, y) }, func(t *host.Profile) time.Duration { return t.GEMM }},
		{"attention", func() { host.Attention(p, b, s, h, g, d, 1, qkv, make([]int32, s), o, lse, ws) },
			func(t *host.Profile) time.Duration { return t.Attention }},
		{"other", func() { host.Add(p, x, w, y) }, func(t *host.Profile) time.Duration { return t.Other }},
	}
	for _, k := range kernels {
		var profile host.Profile
		p.SetProfile(&profile)
		k.run()
		p.SetProfile(nil)
		spent := k.time(&profile)
		if spent <= 0 {
			t.Errorf("%s: no time in its family: %+v", k.name, profile)
		}
		if all := profile.GEMM + profile.Attention + profile.Other; all != spent {
			t.Errorf("%s: time in other families: %+v", k.name, profile)
		}
		k.run()
		if k.time(&profile) != spent {
			t.Errorf("%s: time was booked without a profile", k.name)
		}
	}
}
