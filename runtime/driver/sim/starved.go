package sim

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// patience is how long threads may make no call while another waits for work that cannot go on without them. It is
// spent only before a deadlock is reported.
const patience = 10 * time.Second

// called notes a call: there may be something to do for those that are starved.
func (m *machine) called() {
	m.calls++
	clear(m.starved)
	m.call.Broadcast()
}

// moreToCome is called when nothing of what was given to the GPUs can run: kernels may wait for those of another GPU,
// whose thread has yet to launch them. It lets the other threads make calls, and tells whether one has.
func (m *machine) moreToCome() bool {
	thread := syscall.Gettid()
	m.starved[thread] = m.bound[thread]
	defer delete(m.starved, thread)
	calls, until := m.calls, time.Now().Add(m.patience)
	for m.calls == calls {
		if !m.othersMayCall() || !time.Now().Before(until) {
			return false
		}
		timer := time.AfterFunc(time.Until(until), m.call.Broadcast)
		m.call.Wait()
		timer.Stop()
	}
	return true
}

// othersMayCall tells whether there is an open GPU, or a thread bound to one, for which nobody waits like this.
func (m *machine) othersMayCall() bool {
	waited := map[int]bool{}
	for _, gpu := range m.starved {
		waited[gpu] = true
	}
	for gpu, d := range m.gpus {
		if d != nil && !waited[gpu] {
			return true
		}
	}
	for thread := range m.bound {
		if _, starved := m.starved[thread]; starved {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err == nil {
			return true
		}
		delete(m.bound, thread) // it has ended
	}
	return false
}
