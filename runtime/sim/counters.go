package sim

// Traffic counts the bytes that a kernel's instructions asked for in one space.
type Traffic struct {
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

// Counters is what a launch did. Nothing here is a time.
type Counters struct {
	Instructions     int64 `json:"instructions"`      // executed by warps
	LaneInstructions int64 `json:"lane_instructions"` // the same by active lanes

	Global Traffic `json:"global"` // by loads, stores and atomics
	Shared Traffic `json:"shared"` // likewise
	Local  Traffic `json:"local"`  // likewise
	Async  Traffic `json:"async"`  // global memory by cp.async and bulk copies

	GlobalRequests int64 `json:"global_requests"` // warp-wide accesses to global memory
	GlobalSectors  int64 `json:"global_sectors"`  // 32-byte sectors that they touched
	MinimumSectors int64 `json:"minimum_sectors"` // that their bytes would fill

	SharedRequests int64 `json:"shared_requests"` // warp-wide accesses to shared memory
	SharedPasses   int64 `json:"shared_passes"`   // passes that the banks need for them; those above the requests' minimum are conflicts
	BankConflicts  int64 `json:"bank_conflicts"`

	TensorOps    int64 `json:"tensor_operations"` // multiplications and additions of mma and wgmma
	Atomics      int64 `json:"atomics"`           // lanes
	BarrierWaits int64 `json:"barrier_waits"`     // times that a wait found its barrier incomplete
}

// Sectors is the mean number of sectors per request, 0 without requests.
func (c *Counters) Sectors() float64 {
	if c.GlobalRequests == 0 {
		return 0
	}
	return float64(c.GlobalSectors) / float64(c.GlobalRequests)
}

// counting is what an access adds to besides bytes.
type counting struct{ c *Counters }

// count looks at the addresses of an irregular access: sectors of global memory, passes of shared banks.
func (w *warp) count(t *transfer, addr *vec64, m uint32) counting {
	c := w.cta.grid.counters
	s, _ := t.spc, 0
	if s == spaceGeneric && m != 0 {
		s, _ = splitGeneric(addr[lowest(m)])
	}
	switch s {
	case spaceGlobal:
		c.GlobalRequests++
		c.GlobalSectors += int64(sectors(addr, t.size, m))
		c.MinimumSectors += int64(popcount(m)*t.size+31) / 32
	case spaceShared, spaceCluster:
		passes, least := bankPasses(addr, t.size, m)
		c.SharedRequests++
		c.SharedPasses += int64(passes)
		c.BankConflicts += int64(passes - least)
	}
	return counting{c}
}

func (k counting) bytes(mem *memory, n int64, write bool) {
	if mem == nil {
		return
	}
	t := &k.c.Global
	if mem.cta != nil {
		t = &k.c.Shared
	}
	if write {
		t.Written += n
	} else {
		t.Read += n
	}
}

// countRun counts an access to n neighbouring bytes: no conflicts, as few sectors as its alignment allows.
func (w *warp) countRun(mem *memory, off, n int, bytes int64, write bool) {
	c := w.cta.grid.counters
	counting{c}.bytes(mem, bytes, write)
	if mem.cta != nil {
		c.SharedRequests++
		c.SharedPasses += int64(max(1, (n+127)/128))
		return
	}
	c.GlobalRequests++
	c.GlobalSectors += int64((off+n-1)/32 - off/32 + 1)
	c.MinimumSectors += int64(n+31) / 32
}

// sectors counts the distinct 32-byte sectors of the lanes' accesses.
func sectors(addr *vec64, size int, m uint32) int {
	var seen [4 * warpSize]uint64
	n := 0
	for mm := m; mm != 0; mm &= mm - 1 {
		a := addr[lowest(mm)]
	sector:
		for s := a / 32; s <= (a+uint64(size)-1)/32; s++ {
			for i := n - 1; i >= 0; i-- {
				if seen[i] == s {
					continue sector
				}
			}
			if n < len(seen) {
				seen[n] = s
				n++
			}
		}
	}
	return n
}

// bankPasses is how often the 32 banks of 4 bytes must be gone through, and the least for so many bytes. Accesses of 8
// bytes are served by half warps, of 16 bytes by quarters; lanes with the same word share it.
func bankPasses(addr *vec64, size int, m uint32) (passes, least int) {
	group := warpSize
	if size > 4 {
		group = warpSize * 4 / size
	}
	for first := 0; first < warpSize; first += group {
		part := m >> first
		if group < warpSize {
			part &= 1<<group - 1
		}
		if part == 0 {
			continue
		}
		least++
		var words [warpSize][]uint64
		var room [warpSize][4]uint64
		most := 1
		for mm := part; mm != 0; mm &= mm - 1 {
			a := addr[first+lowest(mm)]
			for b := a / 4; b <= (a+uint64(size)-1)/4; b++ {
				bank := b % 32
				if words[bank] == nil {
					words[bank] = room[bank][:0]
				}
				if !containsWord(words[bank], b) {
					words[bank] = append(words[bank], b)
					most = max(most, len(words[bank]))
				}
			}
		}
		passes += most
	}
	return passes, least
}

func containsWord(list []uint64, w uint64) bool {
	for _, x := range list {
		if x == w {
			return true
		}
	}
	return false
}
