package device

import (
	"slices"
	"strings"
	"time"

	"moegen/runtime/driver"
)

// timing is a graph of a part with events between its launches, all on one stream: no two kernels run at the same time.
type timing struct {
	graph    driver.Graph
	events   []driver.Event
	families []string // of what comes before each event but the first; "": no kernel
}

// idle is how many intervals without a kernel begin a timing: they show what an event takes itself.
const idle = 9

func (w *worker) newTiming(steps []step) (*timing, error) {
	t := &timing{families: make([]string, idle)}
	for i := range steps {
		if l := steps[i].launch; l != nil {
			t.families = append(t.families, family(l.Function.Name))
		} else if steps[i].fill != nil {
			t.families = append(t.families, "")
		}
	}
	for range len(t.families) + 1 {
		e, err := w.device.NewEvent(true)
		if err != nil {
			return nil, err
		}
		t.events = append(t.events, e)
	}
	next := 0
	record := func() error {
		next++
		return w.stream.Record(t.events[next-1])
	}
	var err error
	t.graph, err = w.capture(func() error {
		for range idle + 1 {
			if err := record(); err != nil {
				return err
			}
		}
		return w.run(steps, func(s *step) error {
			if s.tap != nil {
				return nil
			}
			return record()
		})
	})
	return t, err
}

// collect adds up what the last run of a timing took.
func (w *worker) collect(t *timing) error {
	took := make([]float64, len(t.families))
	for i := range took {
		var err error
		if took[i], err = w.device.Elapsed(t.events[i], t.events[i+1]); err != nil {
			return err
		}
	}
	event := slices.Sorted(slices.Values(took[:idle]))[idle/2]
	for i, family := range t.families[idle:] {
		if family != "" {
			w.took[family] += max(0, took[idle+i]-event)
		}
	}
	w.clocks += event * float64(len(t.events))
	return nil
}

// family is the words of a kernel's name before the first one with a digit: grouped_gemm of grouped_gemm_e128_n2048.
func family(name string) string {
	var words []string
	for word := range strings.SplitSeq(name, "_") {
		if strings.ContainsAny(word, "0123456789") {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, "_")
}

func (m *machine) Profile(run func() error) (map[string]time.Duration, time.Duration, error) {
	m.timed = true
	defer func() { m.timed = false }()
	begin := time.Now()
	err := run()
	total := time.Since(begin)
	families := map[string]time.Duration{}
	mean := func(ms float64) time.Duration { return time.Duration(ms * 1e6 / float64(len(m.workers))) }
	for _, w := range m.workers {
		for family, ms := range w.took {
			families[family] += mean(ms)
		}
		total -= mean(w.clocks)
		w.took, w.clocks = map[string]float64{}, 0
	}
	return families, total, err
}
