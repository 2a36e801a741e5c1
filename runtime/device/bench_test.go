package device

import (
	"sync"
	"testing"

	"moegen/runtime/host"
	"moegen/runtime/safetensors"
	"moegen/runtime/train"
)

func benchmark(b *testing.B, arena int64, f func(*testing.B, *machine)) {
	for name, c := range devices() {
		b.Run(name, func(b *testing.B) {
			p := toyProgram(toyParts(), c)
			p.Manifest.ArenaBytes = max(arena, toyBytes)
			opened, err := p.Target.Open(&p)
			if err != nil {
				b.Fatal(err)
			}
			defer opened.Close()
			f(b, opened.(*machine))
		})
	}
}

// A run of three small kernels: what the inputs, the graph, the result and waiting for it take.
func BenchmarkRun(b *testing.B) {
	benchmark(b, 0, func(b *testing.B, m *machine) {
		w := m.workers[0]
		tokens, record := make([]int32, toyTokens), make([]float32, host.RecordLen)
		if err := m.Write(0, toyW, make([]byte, 2*toyN)); err != nil {
			b.Fatal(err)
		}
		for range 3 {
			benchmarkStep(b, m, tokens, record)
		}
		busy := w.busy
		for b.Loop() {
			benchmarkStep(b, m, tokens, record)
		}
		b.ReportMetric(float64((w.busy-busy).Nanoseconds())/float64(b.N), "host-ns/op")
	})
}

func benchmarkStep(b *testing.B, m *machine, tokens []int32, record []float32) {
	b.Helper()
	for _, at := range []int64{toyTokensAt, toyTargets, toyPositions, toyStarts} {
		if err := m.Write(0, at, safetensors.Bytes(tokens)); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.Write(0, toyRecord, safetensors.Bytes(record)); err != nil {
		b.Fatal(err)
	}
	if err := m.Run(train.MicroBatch); err != nil {
		b.Fatal(err)
	}
}

// Half a mebibyte at a time, as checkpoints write, from as many goroutines as there are cores.
func BenchmarkWrite(b *testing.B) { benchmarkTransfer(b, (*machine).Write) }

func BenchmarkRead(b *testing.B) {
	benchmarkTransfer(b, func(m *machine, rank int, off int64, to []byte) error { return m.Read(rank, to, off) })
}

func benchmarkTransfer(b *testing.B, transfer func(m *machine, rank int, off int64, bytes []byte) error) {
	const size, part = 64 << 20, 512 << 10
	benchmark(b, toyBytes+size, func(b *testing.B, m *machine) {
		b.SetBytes(size)
		for b.Loop() {
			var all sync.WaitGroup
			for i := range cap(m.pieces) {
				all.Go(func() {
					bytes := make([]byte, part)
					for at := i * part; at < size; at += cap(m.pieces) * part {
						if err := transfer(m, 0, toyBytes+int64(at), bytes); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		}
	})
}
