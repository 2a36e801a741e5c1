package train

import (
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"moegen/runtime/health"
	"moegen/runtime/host"
)

// CPU is the target of programs whose ranks are goroutines of this process.
func CPU(parts Parts[host.Rank]) Target { return cpu{parts} }

type cpu struct{ parts Parts[host.Rank] }

func (cpu) Flags(*pflag.FlagSet) {}

func (cpu) Rehearses() bool { return false }

func (cpu) Platform(bool) (Platform, error) {
	return Platform{CPUPath: host.Path(), Cores: runtime.GOMAXPROCS(0)}, nil
}

func (cpu) Inspect(p *Program) (*health.GPUs, health.Need) {
	return nil, health.Need{HostBytes: int64(p.Manifest.Ranks) * p.PeakBytes()}
}

func (c cpu) Open(p *Program) (Machine, error) {
	bytes, folded := p.Arena()
	m, err := host.Open(host.Config{
		Ranks:        p.Manifest.Ranks,
		ArenaBytes:   bytes,
		FoldedBytes:  folded,
		RecordOffset: p.Layout.Record,
	})
	if err != nil {
		return nil, err
	}
	return &cpuMachine{m, c.parts, p.Manifest.Ranks}, nil
}

// cpuMachine is a host.Machine with the functions of a program.
type cpuMachine struct {
	*host.Machine
	parts Parts[host.Rank]
	ranks int
}

func (m *cpuMachine) Run(part Part) error {
	m.Machine.Run(m.parts.Of(part))
	return nil
}

func (m *cpuMachine) Write(rank int, off int64, from []byte) error {
	copy(m.Bytes(rank, off, int64(len(from))), from)
	return nil
}

func (m *cpuMachine) Read(rank int, to []byte, off int64) error {
	copy(to, m.Bytes(rank, off, int64(len(to))))
	return nil
}

func (m *cpuMachine) Profile(run func() error) (map[string]time.Duration, time.Duration, error) {
	times := make([]host.Profile, m.ranks)
	m.Machine.Run(func(r *host.Rank) { r.Pool.SetProfile(&times[r.ID]) })
	defer m.Machine.Run(func(r *host.Rank) { r.Pool.SetProfile(nil) })
	begin := time.Now()
	err := run()
	total := time.Since(begin)
	families := map[string]time.Duration{}
	for _, t := range times {
		families["gemm"] += t.GEMM / time.Duration(m.ranks)
		families["attention"] += t.Attention / time.Duration(m.ranks)
	}
	return families, total, err
}

func (m *cpuMachine) Observe(run func() error) (Observation, error) { return Observation{}, run() }
