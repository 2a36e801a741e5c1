package gen

import (
	"fmt"

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
				return fmt.Errorf("target %s has no kernel for %s (%s)", s.req.Target, n.Op.Name, n.Section)
			}
			s.kernels[n] = k
		}
	}
	return nil
}
