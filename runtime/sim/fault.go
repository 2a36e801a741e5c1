package sim

import "fmt"

// fault ends the run with an error at the executing instruction; lane -1 blames the whole warp.
func (w *warp) fault(k Kind, lane int, format string, args ...any) {
	panic(w.errorAt(w.in, k, lane, format, args...))
}

func (w *warp) errorAt(s *step, k Kind, lane int, format string, args ...any) *Error {
	return &Error{Kind: k, Line: s.in.line, Text: s.in.text, Kernel: w.cta.grid.fn.Name, CTA: w.cta.index,
		Warp: w.id, Lane: lane, Msg: fmt.Sprintf(format, args...)}
}

// fault of an actor is its warp's, at the instruction that made it; host copies have none.
func (a *actor) fault(k Kind, lane int, format string, args ...any) {
	if a.warp == nil {
		panic(&Error{Kind: k, Warp: -1, Lane: -1, Msg: fmt.Sprintf(format, args...)})
	}
	s := a.step
	if s == nil {
		s = a.warp.in
	}
	panic(a.warp.errorAt(s, k, lane, format, args...))
}
