package gen

import (
	"fmt"
	"slices"
	"strings"

	"moegen/ir"
	"moegen/kernels"
)

// choose picks a kernel for every node.
func choose(s *step) error {
	s.kernels = map[*ir.Node]*kernels.Kernel{}
	for _, g := range s.programs() {
		for _, n := range g.Nodes {
			k := kernels.Select(s.req.Target, n)
			if k == nil {
				others := slices.DeleteFunc(kernels.Targets(), func(t string) bool { return t == s.req.Target })
				return fmt.Errorf("target %s has no kernel for %s (%s): %s; use --target %s", s.req.Target, n.Op.Name, n.Section,
					kernels.Refusal(s.req.Target, n), strings.Join(others, " or "))
			}
			s.kernels[n] = k
		}
	}
	return nil
}
