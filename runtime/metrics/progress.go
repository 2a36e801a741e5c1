package metrics

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Progress shows how far a run is: a bar that stays on one line of a terminal, or a line every few steps
// anywhere else.
type Progress struct {
	out      io.Writer
	terminal bool
	every    int // steps between two lines where there is no terminal
	steps    int // of the whole run
	width    int // characters that the bar now occupies; 0: nothing to wipe
}

// Step is what Progress shows of a step.
type Step struct {
	Step            int
	Loss            float64
	GradNorm        float64
	LR              float64
	TokensPerSecond float64
	Replayed        int           // layers, over ranks and micro-batches, whose tokens were sent again
	Left            time.Duration // until the run's last step, estimated
}

// NewProgress shows a run of so many steps on out.
func NewProgress(out io.Writer, steps, every int) *Progress {
	return &Progress{out: out, terminal: IsTerminal(out), every: every, steps: steps}
}

// IsTerminal says whether a person reads what is written to w.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// Show reports a finished step. A pipe gets the first, the last and every few between.
func (p *Progress) Show(s Step) {
	text := fmt.Sprintf("step %d/%d  loss %.4f  grad-norm %.4g  lr %.3g  %s tokens/s  peak %s  eta %s",
		s.Step, p.steps, s.Loss, s.GradNorm, s.LR, Count(int64(s.TokensPerSecond+0.5)), Bytes(PeakRSS()), duration(s.Left))
	if s.Replayed > 0 {
		text += fmt.Sprintf("  replayed %s layers", Count(int64(s.Replayed)))
	}
	if p.terminal {
		p.draw(bar(s.Step, p.steps) + " " + text)
		return
	}
	if s.Step == 1 || s.Step == p.steps || s.Step%p.every == 0 {
		fmt.Fprintln(p.out, text)
	}
}

// Say prints a line of its own, above the bar where there is one.
func (p *Progress) Say(format string, args ...any) {
	p.wipe()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Done leaves the last bar standing and moves below it.
func (p *Progress) Done() {
	if p.width > 0 {
		fmt.Fprintln(p.out)
		p.width = 0
	}
}

// draw puts text over what stands on the terminal's line, cut where the line would wrap: what has wrapped
// cannot be wiped.
func (p *Progress) draw(text string) {
	if file, ok := p.out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			text = text[:min(len(text), int(size.Col)-1)]
		}
	}
	fmt.Fprint(p.out, "\r"+text+strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

func (p *Progress) wipe() {
	if p.width > 0 {
		fmt.Fprint(p.out, "\r"+strings.Repeat(" ", p.width)+"\r")
		p.width = 0
	}
}

// bar draws the share of steps that are done.
func bar(step, steps int) string {
	const cells = 20
	full := cells
	if step < steps {
		full = step * cells / steps
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
}

// duration rounds to what a person waiting wants to know.
func duration(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	if d < time.Hour {
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
