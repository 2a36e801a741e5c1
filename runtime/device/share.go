package device

import (
	"slices"

	"moegen/runtime/driver"
)

// What runs at the same time shares the GPU. Kernels that are launched as often as the GPU holds them at once keep all of it until
// they end, and what the other stream has to do beside them would wait: so computation that may run beside a large exchange
// leaves some multiprocessors alone, and the exchange takes no more than these. Exchanges with nothing beside them take what
// they want. No result depends on it.

// roomOf is one of how many multiprocessors large exchanges have beside computation: 12 of an H100's 132. That many have some 1.5 MB
// under way in bulk, where a link of 450 GB/s takes 0.9 to be busy at 2 microseconds a round trip; by threads they have 0.4.
const roomOf = 11

// share returns steps with grids for two streams.
func (r *Rank) share(steps []step) []step {
	out := slices.Clone(steps)
	sms := r.device.Info().SMs
	room := max(sms/roomOf, 1)
	most := func(s *step, sms int) int { // blocks
		f := s.launch.Function
		return f.Resident(driver.Info{SMs: sms, Shared: r.device.Info().Shared}, int(s.launch.Block[0]))
	}
	resize := func(i, sms int) {
		s := &out[i]
		if s.kernel.Persistent {
			l := *s.launch
			l.Grid[0] = uint32(driver.Persistent(s.grid, max(s.kernel.Cluster, 1), most(s, sms)))
			s.launch = &l
		}
	}
	var large []int // exchanges
	for i := range steps {
		if s := &steps[i]; s.launch != nil && s.on == Communication && s.grid > most(s, room) {
			large = append(large, i)
		}
	}
	ended := otherEnded(steps)
	for i := range steps {
		s := &steps[i]
		if s.launch == nil || s.on != Compute || s.grid <= most(s, sms-room) {
			continue
		}
		first, _ := slices.BinarySearch(large, ended[i]+1)
		for _, x := range large[first:] {
			if ended[x] >= i {
				break
			}
			resize(i, sms-room)
			resize(x, room)
		}
	}
	return out
}

// otherEnded returns, for every step, the last one of the other stream that has ended when it begins, -1 for none.
func otherEnded(steps []step) []int {
	out := make([]int, len(steps))
	now := [streams]int{-1, -1}
	marked := map[*driver.Event]int{}
	for i, s := range steps {
		if s.mark != nil {
			marked[s.mark] = i
		}
		if s.wait != nil {
			now[s.on] = max(now[s.on], marked[s.wait])
		}
		out[i] = now[s.on]
	}
	return out
}
