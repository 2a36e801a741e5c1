package train

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"moegen/runtime/data"
	"moegen/runtime/metrics"
)

// benchReport is what bench measured. Rates are those of the median step.
type benchReport struct {
	Model               string             `json:"model"`
	Seq                 int                `json:"seq"`
	MicroBatch          int                `json:"micro_batch"`
	Ranks               int                `json:"gpus"`
	DType               string             `json:"dtype"`
	Target              string             `json:"target"`
	Rehearsed           bool               `json:"rehearsed"`         // one of the ranks ran, alone: no wire
	Router              string             `json:"router"`            // learned, balanced, uniform, spread or one
	Steps               int                `json:"steps"`             // timed
	Warmup              int                `json:"warmup"`            // before them
	TokensPerSecond     float64            `json:"tokens_per_second"` // of whole steps
	GradTokensPerSecond float64            `json:"forward_backward_tokens_per_second"`
	StepMS              float64            `json:"step_ms"`
	GradMS              float64            `json:"forward_backward_ms"`
	UpdateMS            float64            `json:"update_ms"`
	StepsMS             []float64          `json:"steps_ms"`
	FLOPsPerToken       int64              `json:"flops_per_token"`
	GFLOPS              float64            `json:"model_gflops"` // tokens_per_second · flops_per_token / 1e9
	PeakRSSBytes        int64              `json:"peak_rss_bytes"`
	PlannedBytes        int64              `json:"planned_bytes"`   // of all ranks that ran
	Shares              shares             `json:"shares"`          // of the step
	KernelMS            map[string]float64 `json:"kernel_ms"`       // of a step, by family of kernels
	Losses              []float64          `json:"loss"`            // of every step, warm-up first
	ReplayedLayers      int                `json:"replayed_layers"` // of the timed steps, over ranks: received more than the pool has room for
	TokensPerJoule      float64            `json:"tokens_per_joule,omitempty"`
	Platform
	Observation
}

// newBench builds the command that measures a training step.
func newBench(program Program) *cobra.Command {
	measure := newGroup("What to measure")
	steps := measure.flags.Int("steps", 10, "timed steps")
	warmup := measure.flags.Int("warmup", 3, "steps before them")
	checkpoint := measure.flags.String("checkpoint", "", "Hugging Face `DIR` with weights (default: random weights)")
	seed := measure.flags.Uint64("seed", 0, "seed of the weights, the tokens and the uniform router")
	router := learned
	if program.Layout.Choice >= 0 {
		measure.flags.Var(&router, "router", "who chooses the experts: learned, the router; balanced, everybody in turn; uniform, chance;\n"+
			"spread, every token to as many ranks as can be; one, all tokens to the same experts.\n"+
			"The router computes its choice and its weights in any case")
	}
	if program.rehearses() {
		measure.flags.BoolVar(&program.Rehearsed, "rehearse", false, rehearseUsage)
	}
	output := newGroup("Output")
	asJSON := output.flags.Bool("json", false, "print one JSON object")
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the speed and the memory of a training step",
		Long: `Measure the speed and the memory of a training step: forward, backward and AdamW
(learning rate 1e-3, no clipping, no accumulation) on a new batch of random tokens
every step, uniform over the vocabulary. The shares of the step come from a pass
of their own after the timed steps, in which no two kernels run at the same time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if *steps < 1 || *warmup < 0 {
				return fmt.Errorf("bench needs --steps of at least 1 and --warmup of at least 0")
			}
			if seq := program.Manifest.Seq; seq < 2 {
				return fmt.Errorf("bench predicts the next token of a row, and this binary was built with --seq %d: build one with at least 2", seq)
			}
			report, err := bench(program, *checkpoint, *seed, *steps, *warmup, router)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd, report)
			}
			report.print(cmd)
			return nil
		},
	}
	addGroups(cmd, measure, program.device(), output)
	return cmd
}

// bench measures the steps of a program.
func bench(program Program, checkpoint string, seed uint64, steps, warmup int, router routing) (*benchReport, error) {
	e, err := startFrom(program, checkpoint, seed)
	if err != nil {
		return nil, err
	}
	defer e.close()
	m := program.Manifest
	if err := router.apply(e, seed); err != nil {
		return nil, err
	}
	running := m.Ranks
	if program.Rehearsed {
		running = 1
	}
	report := &benchReport{
		Model: m.Model, Seq: m.Seq, MicroBatch: m.MicroBatch, Ranks: m.Ranks, DType: m.DType, Target: m.Target,
		Rehearsed: program.Rehearsed, Router: router.String(),
		Steps: steps, Warmup: warmup, FLOPsPerToken: m.FLOPsPerToken,
		PlannedBytes: program.PeakBytes() * int64(running),
	}
	if report.Platform, err = program.Target.Platform(true); err != nil {
		return nil, failed(err)
	}
	timer := benchTimer{engine: e, batch: newBatch(m), seed: seed}
	var grad, update []float64
	run := func(steps int) error {
		report.StepsMS, report.ReplayedLayers, grad, update = nil, 0, nil, nil
		for range steps {
			loss, g, u, err := timer.step()
			if err != nil {
				return err
			}
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return failed(fmt.Errorf("the loss of step %d is %v: these weights cannot be trained", timer.steps, loss))
			}
			layers, err := e.replayed()
			if err != nil {
				return err
			}
			report.ReplayedLayers += layers
			report.Losses, report.StepsMS = append(report.Losses, loss), append(report.StepsMS, g+u)
			grad, update = append(grad, g), append(update, u)
		}
		return nil
	}
	if err := run(warmup); err != nil {
		return nil, err
	}
	if report.Observation, err = e.machine.Observe(func() error { return run(steps) }); err != nil {
		return nil, err
	}
	report.PeakRSSBytes = metrics.PeakRSS()
	tokens := float64(running * e.tokens)
	report.HostMS /= float64(steps)
	if report.Joules > 0 {
		report.TokensPerJoule = tokens * float64(steps) / report.Joules
	}
	report.StepMS, report.GradMS, report.UpdateMS = median(report.StepsMS), median(grad), median(update)
	report.TokensPerSecond, report.GradTokensPerSecond = tokens/report.StepMS*1e3, tokens/report.GradMS*1e3
	report.GFLOPS = report.TokensPerSecond * float64(m.FLOPsPerToken) / 1e9
	report.Shares, report.KernelMS, err = profile(&timer)
	return report, err
}

// benchTimer runs steps on synthetic tokens.
type benchTimer struct {
	engine *engine
	batch  data.Batch
	seed   uint64
	steps  int // done
}

// step trains one step and returns its loss and the milliseconds of its two halves.
func (t *benchTimer) step() (loss, gradMS, updateMS float64, err error) {
	synthesize(t.batch, t.engine.program.Manifest, t.seed, t.steps)
	t.steps++
	adam := optimizer{beta1: 0.9, beta2: 0.999, eps: 1e-8, seed: t.seed}
	coef := t.engine.program.Manifest.AuxCoef
	r := adam.record(t.steps, 1e-3, targetCount(t.batch), 1, coef)
	begin := time.Now()
	loss, aux, err := t.engine.microBatch(t.batch, r)
	if err != nil {
		return 0, 0, 0, err
	}
	middle := time.Now()
	if _, err := t.engine.update(r); err != nil {
		return 0, 0, 0, err
	}
	end := time.Now()
	return loss + coef*aux, milliseconds(middle.Sub(begin)), milliseconds(end.Sub(middle)), nil
}

// synthesize fills a batch with the tokens of a step: token j of step s is the top 31 bits of splitmix64
// (Steele, Lea and Flood 2014) at (seed << 40) + s·n + j, modulo the vocabulary, n being the tokens of a
// step. Every row is one document that predicts its own next token.
func synthesize(b data.Batch, m Manifest, seed uint64, step int) {
	n := len(b.Tokens)
	for j := range b.Tokens {
		z := (seed<<40 + uint64(step*n+j) + 1) * 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z = (z ^ z>>31) >> 33
		b.Tokens[j] = int32(z % uint64(m.Vocab))
		b.Positions[j] = int32(j % m.Seq)
		b.Starts[j] = 0
	}
	for j := range b.Targets {
		b.Targets[j] = -100
		if (j+1)%m.Seq != 0 {
			b.Targets[j] = b.Tokens[j+1]
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// median returns the middle of values, the mean of the two middle ones where their number is even.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func (r *benchReport) print(cmd *cobra.Command) {
	rows := [][2]string{
		{"case", fmt.Sprintf("%s, %s, %s, %d × %d tokens a rank, %s router, %s",
			r.Model, r.DType, r.ran(), r.MicroBatch, r.Seq, r.Router, r.Platform)},
		{"tokens/s", fmt.Sprintf("%s of whole steps, %s of forward and backward", metrics.Count(int64(r.TokensPerSecond+0.5)), metrics.Count(int64(r.GradTokensPerSecond+0.5)))},
		{"step", fmt.Sprintf("%.1f ms: %.1f forward and backward, %.1f update (medians of %d after %d)",
			r.StepMS, r.GradMS, r.UpdateMS, r.Steps, r.Warmup)},
		{"model work", fmt.Sprintf("%s: tokens/s × %s FLOPs a token (6 a weight that multiplies, attention over visible keys)",
			workRate(r.GFLOPS), metrics.Count(r.FLOPsPerToken))},
		{"step goes to", r.Shares.String()},
		{"memory", fmt.Sprintf("%s of the host at the peak, %s planned", metrics.Bytes(r.PeakRSSBytes), metrics.Bytes(r.PlannedBytes))},
		{"loss", fmt.Sprintf("%.4f first, %.4f last", r.Losses[0], r.Losses[len(r.Losses)-1])},
	}
	if r.ReplayedLayers > 0 {
		rows = append(rows, [2]string{"replayed", fmt.Sprintf("%s layers of the %d timed steps: more tokens came to a rank than its pool has room for, and came again in backward",
			metrics.Count(int64(r.ReplayedLayers)), r.Steps)})
	}
	if r.DeviceBytes > 0 {
		rows = append(rows,
			[2]string{"GPU memory", fmt.Sprintf("%s allocated: the plan, kernels and graphs; %s in use, as the GPU says", metrics.Bytes(r.AllocatedBytes), metrics.Bytes(r.DeviceBytes))},
			[2]string{"host", fmt.Sprintf("%.3f ms a step beside waiting", r.HostMS)},
			[2]string{"kernels", fmt.Sprintf("%.3f ms a step one after another; %.3f ms of the step are none of theirs", r.kernels(), r.StepMS-r.kernels())})
	}
	if r.Joules > 0 {
		rows = append(rows, [2]string{"power", fmt.Sprintf("%.0f W at %.0f MHz, %.3g tokens a joule", r.Watts, r.ClockMHz, r.TokensPerJoule)})
	}
	printTable(cmd, rows)
}

// workRate is 10^9 operations a second in the unit that suits them.
func workRate(gflops float64) string {
	if gflops >= 1e3 {
		return fmt.Sprintf("%.1f TFLOP/s", gflops/1e3)
	}
	return fmt.Sprintf("%.1f GFLOP/s", gflops)
}

// ran says what ran.
func (r *benchReport) ran() string {
	if r.Rehearsed {
		return fmt.Sprintf("one rank of %d of %s (rehearsed, no wire)", r.Ranks, r.Target)
	}
	return ranks(r.Ranks, r.Target)
}

// kernels is what the kernels of a step take in all, in milliseconds, when none overlaps another.
func (r *benchReport) kernels() float64 {
	sum := 0.0
	for _, family := range slices.Sorted(maps.Keys(r.KernelMS)) {
		sum += r.KernelMS[family]
	}
	return sum
}

// rest is the share of what is no kernel of a family: exchange, waiting, gaps between launches.
const rest = "rest"

// shares says where the time of a step goes, by family of kernels, as parts of 1.
type shares map[string]float64

// String lists the shares that are not next to nothing, the largest first and the rest last.
func (s shares) String() string {
	order := func(a, b string) int {
		return cmp.Or(cmp.Compare(s[b], s[a]), cmp.Compare(a, b))
	}
	text := ""
	for _, family := range slices.SortedFunc(maps.Keys(s), order) {
		if family != rest && s[family] >= 0.005 {
			text += fmt.Sprintf("%.0f %% %s, ", 100*s[family], family)
		}
	}
	return text + fmt.Sprintf("%.0f %% the rest", 100*s[rest])
}

// profile runs a few steps with clocks on the kernels, and returns their shares of these steps and what a step's take.
func profile(t *benchTimer) (s shares, kernelMS map[string]float64, err error) {
	const steps = 3
	families, total, err := t.engine.machine.Profile(func() error {
		for range steps {
			if _, _, _, err := t.step(); err != nil {
				return err
			}
		}
		return nil
	})
	s, kernelMS = shares{rest: 1}, map[string]float64{}
	for family, took := range families {
		kernelMS[family] = milliseconds(took) / steps
		s[family] = took.Seconds() / total.Seconds()
		s[rest] -= s[family]
	}
	return s, kernelMS, err
}
