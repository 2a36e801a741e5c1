package sim

import (
	"fmt"
	"strings"
)

// Kind says which rule was broken; it is the word that reports and tests use.
type Kind string

// What a program can do wrong. Syntax and Unsupported come from Parse, Setup from Load and Start, the others from running.
const (
	Syntax      Kind = "syntax"      // not PTX, or operands of the wrong kind or width
	Unsupported Kind = "unsupported" // PTX, but not in the instruction table or beyond the header's version or target
	Setup       Kind = "setup"       // a launch, copy or allocation that a driver refuses
	Bounds      Kind = "bounds"      // access outside of what is allocated or declared, or after it was freed
	Misaligned  Kind = "misaligned"  // address not a multiple of what the instruction needs
	Undefined   Kind = "undefined"   // a register or byte that nothing wrote decides a result
	Race        Kind = "race"        // two accesses, one a write, without an order between them
	Proxy       Kind = "proxy"       // ordered, but without the fence between generic and async proxy
	Barrier     Kind = "barrier"     // an mbarrier or named barrier used against its rules
	Divergence  Kind = "divergence"  // an .aligned or .sync instruction without the lanes it needs
	InFlight    Kind = "inflight"    // registers of an unfinished wgmma touched
	Deadlock    Kind = "deadlock"    // nothing can run, nothing is under way
	Illegal     Kind = "illegal"     // operands that hardware refuses when it executes them
	Limit       Kind = "limit"       // the step limit of the configuration was reached
)

// Error is what went wrong and where. Lane is -1 when no single lane is to blame.
type Error struct {
	Kind   Kind   `json:"kind"`
	Line   int    `json:"line"`   // of the PTX text, from 1; 0 when no line is to blame
	Text   string `json:"text"`   // the instruction
	Kernel string `json:"kernel"` // entry that ran; empty for errors of Parse
	CTA    [3]int `json:"cta"`    // %ctaid
	Warp   int    `json:"warp"`   // in the CTA, -1 when none
	Lane   int    `json:"lane"`
	Msg    string `json:"message"`
}

// Error gives one sentence (several lines for a deadlock): kind, what, where.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	fmt.Fprintf(&b, "%s: %s", e.Kind, e.Msg)
	if e.Kernel != "" {
		fmt.Fprintf(&b, " [%s", e.Kernel)
		if e.Warp >= 0 {
			fmt.Fprintf(&b, ", CTA %d,%d,%d, warp %d", e.CTA[0], e.CTA[1], e.CTA[2], e.Warp)
		}
		if e.Lane >= 0 {
			fmt.Fprintf(&b, ", lane %d", e.Lane)
		}
		b.WriteString("]")
	}
	if e.Text != "" {
		fmt.Fprintf(&b, " in `%s`", e.Text)
	}
	return b.String()
}

func syntaxError(line int, format string, args ...any) *Error {
	return &Error{Kind: Syntax, Line: line, Warp: -1, Lane: -1, Msg: fmt.Sprintf(format, args...)}
}

func setupError(format string, args ...any) *Error {
	return &Error{Kind: Setup, Warp: -1, Lane: -1, Msg: fmt.Sprintf(format, args...)}
}
