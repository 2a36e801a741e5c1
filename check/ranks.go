package check

import (
	"fmt"
	"slices"
	"time"

	"moegen/kernels/gpu"
	"moegen/runtime/driver"
)

// Link is what copies between two GPUs reach, of one rank's memory to another's.
type Link struct {
	From      int     `json:"from"` // ranks
	To        int     `json:"to"`
	SameGPU   bool    `json:"same_gpu,omitempty"`
	GBs       float64 `json:"gb_per_s"` // of large copies, each byte counted once
	LatencyUS float64 `json:"latency_us"`
}

// linkCopies is how many large copies are timed, after as many more.
const linkCopies = 10

// measureLink times copies from one device to another by the second one's copy engines, in a stream of it.
func measureLink(from, to driver.Device, bytes int64) (gbs, latency float64, err error) {
	source, err := alloc(from, bytes)
	if err != nil {
		return 0, 0, err
	}
	defer release(from, source)
	target, err := alloc(to, bytes)
	if err != nil {
		return 0, 0, err
	}
	defer release(to, target) // the thread is bound to it
	stream, err := to.NewStream(false)
	if err != nil {
		return 0, 0, err
	}
	defer stream.Close()
	timed := func(bytes int64, copies int) (seconds float64, err error) {
		for range 2 { // the first warms up
			begin := time.Now()
			for range copies {
				if err := stream.Copy(target, source, bytes); err != nil {
					return 0, err
				}
			}
			if err := stream.Sync(); err != nil {
				return 0, err
			}
			seconds = time.Since(begin).Seconds()
		}
		return seconds / float64(copies), nil
	}
	large, err := timed(bytes, linkCopies)
	if err != nil {
		return 0, 0, err
	}
	small, err := timed(4, 10*linkCopies)
	return float64(bytes) / large / 1e9, small * 1e6, err
}

func alloc(d driver.Device, bytes int64) (driver.Addr, error) {
	if err := d.Bind(); err != nil {
		return 0, err
	}
	return d.Alloc(bytes)
}

func release(d driver.Device, at driver.Addr) {
	if d.Bind() == nil {
		d.Free(at)
	}
}

// Links measures copies of so many bytes between all pairs of different GPUs that ranks are on, and of one GPU with itself.
func Links(devices []driver.Device, bytes int64) (list []Link, err error) {
	for i, from := range devices {
		for j, to := range devices {
			if slices.Index(devices, from) != i || slices.Index(devices, to) != j || i == j && i > 0 {
				continue
			}
			l := Link{From: i, To: j, SameGPU: from == to}
			if l.GBs, l.LatencyUS, err = measureLink(from, to, bytes); err != nil {
				return nil, err
			}
			list = append(list, l)
		}
	}
	return list, nil
}

// Exchange is how long ranks take for a case that they run together.
type Exchange struct {
	Kernel  string   `json:"kernel"`
	Case    string   `json:"case"`
	Ranks   int      `json:"ranks"`
	Runs    int      `json:"runs"`
	US      float64  `json:"us"`       // a run, all ranks together
	GBs     float64  `json:"gb_per_s"` // a rank: what it cannot do without, by the time; the most of the ranks
	Failure *Failure `json:"failure,omitempty"`
}

// replays is how many runs of a graph may wait at a time.
const replays = 20

// Together has ranks on devices run a case once, looks at what they leave, and then times about so many microseconds of further
// runs, from graphs, all ranks starting together. It needs a case that can be run again.
func Together(devices []driver.Device, item Item, burst float64) (*Exchange, error) {
	e := &Exchange{Kernel: item.Kernel, Case: item.Case.Name, Ranks: 1 + len(item.Case.Peers)}
	err := e.measure(devices, item, burst)
	return e, err
}

func (e *Exchange) measure(devices []driver.Device, item Item, burst float64) (err error) {
	ranks, failure := build(item, "")
	if e.Failure = failure; failure != nil {
		return nil
	}
	f, failure, err := loadFleet(devices, ranks)
	defer f.free()
	if e.Failure = failure; failure != nil || err != nil {
		return err
	}
	if err := f.run(); err != nil {
		e.Failure, err = refusal(err)
		return err
	}
	if e.Failure, err = f.judge(ranks); e.Failure != nil || err != nil {
		return err
	}
	graphs, err := f.graphs(1)
	if err != nil {
		return err
	}
	defer f.freeGraphs(graphs)
	if _, err = f.replay(graphs, 2); err != nil {
		return err
	}
	once, err := f.replay(graphs, 2)
	if err != nil {
		return err
	}
	e.Runs = int(min(max(burst/max(once*1e6/2, 0.1), 2), 1e5))
	took, err := f.replay(graphs, e.Runs)
	e.US = took * 1e6 / float64(e.Runs)
	for _, p := range ranks {
		e.GBs = max(e.GBs, float64(p.Floor.Bytes)/e.US/1e3)
	}
	return err
}

// judge looks at what the ranks hold.
func (f fleet) judge(ranks []*program) (*Failure, error) {
	for rank, run := range f {
		if err := run.device.Bind(); err != nil {
			return nil, err
		}
		after, failure, err := run.read(0)
		if failure == nil && err == nil {
			_, failure = ranks[rank].compare(run.before, after)
		}
		if failure != nil || err != nil {
			return failure, err
		}
	}
	return nil, nil
}

// graphs makes a graph for each rank, of so many runs. Nothing runs meanwhile.
func (f fleet) graphs(runs int) (graphs []driver.Graph, err error) {
	err = f.each(func(run *loaded) error {
		if err := run.stream.Begin(); err != nil {
			return err
		}
		var failed error
		for i := 0; i < runs*len(run.launches[0]) && failed == nil; i++ {
			failed = run.stream.Launch(&run.launches[0][i%len(run.launches[0])])
		}
		graph, err := run.stream.End()
		graphs = append(graphs, graph)
		if failed != nil {
			return failed
		}
		return err
	})
	return graphs, err
}

func (f fleet) freeGraphs(graphs []driver.Graph) {
	for i, g := range graphs {
		if f[i].device.Bind() == nil {
			f[i].device.FreeGraph(g)
		}
	}
}

// replay runs the graphs so many times and returns the seconds that it took.
func (f fleet) replay(graphs []driver.Graph, times int) (float64, error) {
	begin := time.Now()
	for done := 0; done < times; done += replays {
		for range min(replays, times-done) {
			rank := 0
			err := f.each(func(run *loaded) error {
				rank++
				return run.stream.Run(graphs[rank-1])
			})
			if err != nil {
				return 0, err
			}
		}
		if err := f.sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin).Seconds(), nil
}

// Relay is what passing a number round took.
type Relay struct {
	Ranks   int      `json:"ranks"`
	Rounds  int      `json:"rounds"`
	US      float64  `json:"us"` // a round: a barrier, and a rank reading the next one's number
	Failure *Failure `json:"failure,omitempty"`
}

// relayRounds is how many rounds a graph has: an even number, so that the next run goes on where one ended.
const relayRounds = 500

// PassRound has ranks on devices pass numbers round, about so many times, and holds the last ones against how often that was.
func PassRound(devices []driver.Device, ranks, rounds int) (*Relay, error) {
	r := &Relay{Ranks: ranks}
	perGraph := min(relayRounds, (rounds+1)/2*2)
	times := max(1, rounds/perGraph)
	r.Rounds = times * perGraph
	item := Item{"world_barrier", gpu.RelayCase(ranks, 2, false)}
	programs, failure := build(item, "")
	if r.Failure = failure; failure != nil {
		return r, nil
	}
	f, failure, err := loadFleet(devices, programs)
	defer f.free()
	if r.Failure = failure; failure != nil || err != nil {
		return r, err
	}
	graphs, err := f.graphs(perGraph / 2)
	if err != nil {
		return r, err
	}
	defer f.freeGraphs(graphs)
	took, err := f.replay(graphs, times)
	if err != nil {
		return r, err
	}
	r.US = took * 1e6 / float64(r.Rounds)
	return r, r.hold(f)
}

// hold looks at the numbers.
func (r *Relay) hold(f fleet) error {
	for rank, run := range f {
		if err := run.device.Bind(); err != nil {
			return err
		}
		after, failure, err := run.read(0)
		if err != nil {
			return err
		}
		buffer, data := run.bytesOf(after, "a")
		got, want := buffer.Value(data, 0), float64(1000*((rank+r.Rounds)%len(f)+1)+r.Rounds)
		if failure == nil && got != want {
			failure = &Failure{Check: Value, Message: fmt.Sprintf("after %d rounds rank %d holds %.0f and should %.0f", r.Rounds, rank, got, want)}
		}
		if failure != nil {
			r.Failure = failure
			return nil
		}
	}
	return nil
}
