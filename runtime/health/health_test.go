package health

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fit is a machine of so many GPUs behind switches on which all is well.
func fit(gpus int) Machine {
	const plenty = 1 << 40
	m := Machine{
		System: System{CPU: "Stub", Cores: 64, MemoryBytes: plenty, AvailableBytes: plenty, MemlockBytes: -1, ShmBytes: plenty, NVIDIA: gpus, KernelLog: true,
			Disk: Disk{Folder: "/run", FreeBytes: plenty, TriedBytes: 256 << 20, WriteBytesPerSecond: 2e9, ReadBytesPerSecond: 3e9, Direct: true}},
		GPUs: &GPUs{Driver: Driver{Found: true, CUDA: 13000, Release: "580.1", OldestCUDA: 12040, OldestRelease: "550", Management: true}, NCCL: "2.27.3", GPUs: []GPU{}},
	}
	for i := range gpus {
		g := GPU{Number: i, Ordinal: i, Name: "NVIDIA H100 80GB HBM3", Bus: "0000:" + string("123456789"[i]) + "B:00.0", Capability: 90, SMs: 132,
			MemoryBytes: 79 << 30, FreeBytes: 79 << 30, ECC: ECC{On: true, Pending: true}, PCIe: Lanes{5, 5, 16, 16},
			SMClock: Clock{1980, 1980, 1980, 1980}, MemoryClock: Clock{2619, 2619, 2619, 2619}, Power: Power{70, 700, 700, 700},
			NVLinks: slices.Repeat([]NVPort{{Active: true, Switch: true}}, 18), NVLinkBytesPerSecond: 25_000_000_000}
		for peer := range gpus {
			if peer != i {
				g.Peers = append(g.Peers, peer)
			}
		}
		m.GPUs.GPUs = append(m.GPUs.GPUs, g)
	}
	return m
}

// copies are measured bandwidths, between GPUs and from the host.
func copies(gpus int, between, host int64) (rates [][]int64) {
	for i := range gpus {
		rates = append(rates, slices.Repeat([]int64{between}, gpus))
		rates[i][i] = host
	}
	return rates
}

// Whatever is wrong is found by its check and no other, with what to do about it.
func TestExamine(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong func(*Machine, *Need)
		want  Check // parts of the texts
	}{
		{"nothing", func(*Machine, *Need) {}, Check{}},
		{"enough for a binary", func(_ *Machine, n *Need) {
			*n = Need{GPUs: 4, Capability: 90, MemoryBytes: 78 << 30, HostBytes: 1 << 30, CheckpointBytes: 1 << 30}
		}, Check{}},
		{"no driver", func(m *Machine, _ *Need) {
			m.GPUs = &GPUs{Driver: Driver{Problem: "libcuda.so.1: no such file", OldestRelease: "550"}}
		},
			Check{Name: "GPU", Status: Fail, Found: "4 NVIDIA GPUs on the PCI bus and no driver (libcuda.so.1: no such file)", Advice: "release 550"}},
		{"no GPU for a binary", func(m *Machine, n *Need) { m.GPUs, m.System.NVIDIA, n.GPUs = &GPUs{}, 0, 8 },
			Check{Name: "GPU", Status: Warning, Found: "none, and no NVIDIA driver", Advice: "trains on 8 GPUs; here --device sim"}},
		{"too few GPUs", func(m *Machine, n *Need) { n.GPUs = 8 },
			Check{Name: "GPUs", Status: Fail, Found: "4 × NVIDIA H100 80GB HBM3, compute capability 9.0, 79.0 GiB; 4 can be used and the binary was built for 8", Advice: "CUDA_VISIBLE_DEVICES"}},
		{"other GPUs", func(m *Machine, n *Need) {
			n.Capability = 90
			for i := range m.GPUs.GPUs {
				m.GPUs.GPUs[i].Capability = 80
			}
		}, Check{Name: "GPUs", Status: Fail, GPUs: []int{0, 1, 2, 3}, Found: "GPUs 0-3: compute capability 8.0, and kernels are for 9.0 alone", Advice: "CUDA_VISIBLE_DEVICES"}},
		{"another GPU", func(m *Machine, n *Need) { n.Capability, m.GPUs.GPUs[3].Capability = 90, 80 },
			Check{Name: "GPUs", Status: Warning, GPUs: []int{3}, Found: "GPU 3: compute capability 8.0", Advice: "CUDA_VISIBLE_DEVICES"}},
		{"another GPU among those of a binary", func(m *Machine, n *Need) { n.GPUs, n.Capability, m.GPUs.GPUs[1].Capability = 2, 90, 80 },
			Check{Name: "GPUs", Status: Fail, GPUs: []int{1}, Found: "GPU 1: compute capability 8.0", Advice: "CUDA_VISIBLE_DEVICES"}},
		{"a full GPU", func(m *Machine, n *Need) {
			n.GPUs, n.MemoryBytes = 2, 70<<30
			m.GPUs.GPUs[1].FreeBytes, m.GPUs.GPUs[3].FreeBytes = 60<<30, 0
		}, Check{Name: "GPU memory", Status: Fail, GPUs: []int{1}, Found: "GPU 1: 60.0 GiB of 79.0 GiB free, and the binary takes 70.5 GiB", Advice: "end what else uses it"}},
		{"memory in use by nobody", func(m *Machine, _ *Need) { m.GPUs.GPUs[2].UsedBytes = 60 << 30 },
			Check{Name: "GPU memory", Status: Warning, GPUs: []int{2}, Found: "60.0 GiB in use by processes that cannot be seen", Advice: "another container"}},
		{"no peers", func(m *Machine, n *Need) { n.GPUs, m.GPUs.GPUs[0].Peers = 2, []int{2, 3} },
			Check{Name: "links", Status: Fail, Found: "no peer access between CUDA devices 0 and 1", Advice: "NVLink"}},
		{"no peers where it does not matter", func(m *Machine, n *Need) { n.GPUs, m.GPUs.GPUs[3].Peers = 2, []int{1, 2} },
			Check{Name: "links", Status: Warning, Found: "no peer access between CUDA devices 0 and 3", Advice: "NVLink"}},
		{"PCIe alone", func(m *Machine, _ *Need) {
			for i := range m.GPUs.GPUs {
				m.GPUs.GPUs[i].NVLinks = nil
			}
		}, Check{Name: "links", Status: Warning, Found: "CUDA devices 0-3 by PCIe alone, 63.0 GB/s", Advice: "NVLink"}},
		{"slow copies", func(m *Machine, _ *Need) { m.GPUs.Copies = copies(4, 380e9, 55e9); m.GPUs.Copies[1][3] = 100e9 },
			Check{Name: "links", Status: Warning, Found: "CUDA devices 1 and 3 copy at 100.0 GB/s over what is made for 450.0 GB/s", Advice: "topo --matrix"}},
		{"slow copies from the host", func(m *Machine, _ *Need) { m.GPUs.Copies = copies(4, 380e9, 55e9); m.GPUs.Copies[2][2] = 25e9 },
			Check{Name: "PCIe", Status: Warning, GPUs: []int{2}, Found: "GPU 2: copies from the host at 25.0 GB/s over what is made for 63.0 GB/s", Advice: "display=PCI"}},
		{"sound copies", func(m *Machine, _ *Need) { m.GPUs.Copies = copies(4, 380e9, 55e9) }, Check{}},
		{"ECC off", func(m *Machine, _ *Need) { m.GPUs.GPUs[0].ECC = ECC{} },
			Check{Name: "ECC", Status: Warning, GPUs: []int{0}, Found: "error correction is off", Advice: "--ecc-config=1"}},
		{"broken rows", func(m *Machine, _ *Need) { m.GPUs.GPUs[0].Rows.Failed, m.GPUs.GPUs[1].Rows.Pending = true, true },
			Check{Name: "memory rows", Status: Fail, GPUs: []int{0}, Found: "GPU 1: rows of its memory wait", Advice: "out of service"}},
		{"an Xid", func(m *Machine, _ *Need) {
			m.System.Xids = []Xid{{"0000:2b:00", 79, 2}, {"0000:3b:00", 31, 1}, {"0000:77:00", 79, 1}}
		}, Check{Name: "Xid", Status: Warning, GPUs: []int{1}, Found: "GPU 1: Xid 79 ×2 in the kernel log; GPU 2: Xid 31 ×1, faults of programs", Advice: "list of Xid"}},
		{"few cores", func(m *Machine, _ *Need) { m.System.Cores = 4 }, Check{Name: "processor", Status: Warning, Found: "4 cores for 4 GPUs", Advice: "--cpus-per-task"}},
		{"little memory", func(m *Machine, n *Need) { n.HostBytes = 1 << 41 }, Check{Name: "memory", Status: Fail, Found: "1.00 TiB of 1.00 TiB free, and the binary takes 2.00 TiB", Advice: "--micro-batch"}},
		{"memory in use", func(m *Machine, n *Need) { m.System.AvailableBytes = 1 << 30 }, Check{Name: "memory", Status: Warning, Found: "1.00 GiB of 1.00 TiB free", Advice: "what else"}},
		{"a memlock limit", func(m *Machine, _ *Need) { m.System.MemlockBytes = 8 << 20 }, Check{Name: "memlock", Status: Warning, Found: "limited to 8.00 MiB", Advice: "ulimit -l unlimited"}},
		{"a container's shm", func(m *Machine, _ *Need) { m.System.ShmBytes = 64 << 20 }, Check{Name: "/dev/shm", Status: Warning, Found: "64.0 MiB", Advice: "--shm-size"}},
		{"no shm", func(m *Machine, _ *Need) { m.System.ShmBytes = 0 }, Check{Name: "/dev/shm", Status: Warning, Found: "there is no /dev/shm", Advice: "--shm-size"}},
		{"a full disk", func(m *Machine, n *Need) { n.CheckpointBytes = 1 << 41 }, Check{Name: "disk", Status: Fail, Found: "1.00 TiB free in /run, and a checkpoint takes 2.00 TiB", Advice: "make room"}},
		{"a disk for one checkpoint", func(m *Machine, n *Need) { n.CheckpointBytes = 3 << 38 }, Check{Name: "disk", Status: Warning, Found: "takes 768 GiB", Advice: "keeps its last"}},
		{"a slow disk", func(m *Machine, n *Need) { m.System.Disk.WriteBytesPerSecond, n.CheckpointBytes = 100e6, 50e9 },
			Check{Name: "checkpoints", Status: Warning, Found: "written at 100 MB/s, read at 3.0 GB/s; one of this binary's, 46.6 GiB, takes some 500 s", Advice: "another --dir"}},
		{"no disk", func(m *Machine, _ *Need) { m.System.Disk = Disk{Folder: "/none", Problem: "no such file or directory"} },
			Check{Name: "checkpoints", Status: Fail, Found: "/none: no such file or directory", Advice: "another --dir"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, need := fit(4), Need{}
			test.wrong(&m, &need)
			r := Examine(m, need)
			want := test.want.Status
			if want == "" {
				want = OK
			}
			if r.Status != want {
				t.Errorf("the machine is %s, want %s", r.Status, want)
			}
			found := test.want.Name == ""
			for _, c := range r.Checks {
				switch {
				case c.Name == test.want.Name:
					found = true
					if c.Status != want || !slices.Equal(c.GPUs, test.want.GPUs) || !strings.Contains(c.Found, test.want.Found) || !strings.Contains(c.Advice, test.want.Advice) {
						t.Errorf("got %+v, want %+v", c, test.want)
					}
				case c.Status != OK:
					t.Errorf("beside it: %+v", c)
				}
				if (c.Status == OK) != (c.Advice == "") || c.Found == "" {
					t.Errorf("advice is for what is not well: %+v", c)
				}
			}
			if !found {
				t.Errorf("there is no check %s: %+v", test.want.Name, r.Checks)
			}
		})
	}
}

// A machine's links follow from the ports of its GPUs.
func TestLinks(t *testing.T) {
	m := fit(4)
	all := Link{GPUs: []int{0, 1, 2, 3}, Kind: NVLink, BytesPerSecond: 18 * 25_000_000_000}
	if got := m.GPUs.Links(); !cmp.Equal(got, []Link{all}) {
		t.Errorf("behind switches: %+v", got)
	}
	m.GPUs.Copies = copies(4, 380e9, 55e9)
	m.GPUs.Copies[2][3] = 360e9 // the slower direction of the slowest pair stands for all that are alike
	if got, want := m.GPUs.Links(), (Link{[]int{0, 1, 2, 3}, NVLink, 360e9, true}); !cmp.Equal(got, []Link{want}) {
		t.Errorf("measured: %+v", got)
	}
	m.GPUs.Copies[3][2] = 300e9
	if got, want := m.GPUs.Links(), (Link{[]int{2, 3}, NVLink, 300e9, true}); len(got) != 6 || !cmp.Equal(got[5], want) {
		t.Errorf("measured, one pair slower: %+v", got)
	}
	m.GPUs.Copies = nil
	// Two pairs with four links each; the other pairs by PCIe.
	for i := range m.GPUs.GPUs {
		m.GPUs.GPUs[i].NVLinks = slices.Repeat([]NVPort{{Active: true, Remote: m.GPUs.GPUs[i^1].Bus}}, 4)
	}
	const pcie = 16 * 3_938_461_538
	want := []Link{
		{[]int{0, 1}, NVLink, 4 * 25_000_000_000, false}, {[]int{0, 2}, PCIe, pcie, false}, {[]int{0, 3}, PCIe, pcie, false},
		{[]int{1, 2}, PCIe, pcie, false}, {[]int{1, 3}, PCIe, pcie, false}, {[]int{2, 3}, NVLink, 4 * 25_000_000_000, false},
	}
	if got := m.GPUs.Links(); !cmp.Equal(got, want) {
		t.Errorf("bridges: %+v", got)
	}
	topology, ok := m.GPUs.Topology()
	if err := topology.Check(); !ok || err != nil || topology.Slowest().BytesPerSecond != pcie || topology.GPUs != 4 || topology.Nodes != 1 {
		t.Errorf("topology %+v, %v", topology, err)
	}
	// A GPU that is hidden is no part of it, one that shows nothing makes the links unknown, and the smallest one counts.
	m.GPUs.GPUs[0].Ordinal = -1
	m.GPUs.GPUs[1].PCIe, m.GPUs.GPUs[2].MemoryBytes = Lanes{}, 40<<30
	for i := range m.GPUs.GPUs[1:] {
		m.GPUs.GPUs[i+1].Ordinal = i
	}
	m.GPUs.GPUs[1].Peers, m.GPUs.GPUs[2].Peers, m.GPUs.GPUs[3].Peers = nil, []int{2}, []int{1}
	topology, ok = m.GPUs.Topology()
	if want := (Topology{Nodes: 1, GPUs: 3, GPU: "NVIDIA H100 80GB HBM3", Capability: "9.0", MemoryBytes: 40 << 30}); !ok || !cmp.Equal(topology, want) {
		t.Errorf("topology %+v, want %+v", topology, want)
	}
	if _, ok := new(GPUs).Topology(); ok {
		t.Error("a topology without GPUs")
	}
}

func TestTopologyCheck(t *testing.T) {
	good := func() Topology {
		return Topology{Nodes: 2, GPUs: 3, MemoryBytes: 1, Links: []Link{{GPUs: []int{0, 1}, Kind: NVLink, BytesPerSecond: 1}, {GPUs: []int{2, 0}, Kind: PCIe, BytesPerSecond: 1}, {GPUs: []int{1, 2}, Kind: Host, BytesPerSecond: 1}}}
	}
	if g := good(); g.Check() != nil {
		t.Error(g.Check())
	}
	for want, change := range map[string]func(*Topology){
		"nodes is 0":               func(t *Topology) { t.Nodes = 0 },
		"gpus is -1":               func(t *Topology) { t.GPUs = -1 },
		"memory_bytes is 0":        func(t *Topology) { t.MemoryBytes = 0 },
		"links[1].gpus names 1 GP": func(t *Topology) { t.Links[1].GPUs = []int{0} },
		"links[0].bytes_per_secon": func(t *Topology) { t.Links[0].BytesPerSecond = 0 },
		`links[2].kind is "warp"`:  func(t *Topology) { t.Links[2].Kind = "warp" },
		"names GPU 3, and there a": func(t *Topology) { t.Links[1].GPUs[0] = 3 },
		"joins GPUs 2 and 2":       func(t *Topology) { t.Links[1].GPUs[1] = 2 },
		"joins GPUs 1 and 0, whic": func(t *Topology) { t.Links[1].GPUs[0] = 1 },
		"links join 2 pairs of GP": func(t *Topology) { t.Links = t.Links[:2] },
	} {
		bad := good()
		change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want ... %s ...", err, want)
		}
	}
}

// The driver's messages are found between the others, and counted by GPU and number.
func TestXids(t *testing.T) {
	log := `<6>[    1.2] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.159.04
<4>[   77.5] NVRM: Xid (PCI:0000:1b:00): 31, pid=4711, name=trainer, Ch 00000008, intr 00000000. MMU Fault
<4>[   77.6] NVRM: Xid (PCI:0000:1b:00): 31, pid=4711, name=trainer
<4>[  177.6] NVRM: Xid (PCI:0000:1c:00): 79, GPU has fallen off the bus.
<4>[  177.9] NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus.`
	want := []Xid{{"0000:1b:00", 31, 2}, {"0000:1c:00", 79, 1}, {"0000:1b:00", 79, 1}}
	if got := xids([]byte(log)); !cmp.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What this machine has is read in the right units, and the disk that is tried out is left as it was.
func TestReadSystem(t *testing.T) {
	folder := t.TempDir()
	s := ReadSystem(folder)
	if s.Cores < 1 || s.MemoryBytes < 64<<20 || s.MemoryBytes > 1<<50 || s.AvailableBytes < 1 || s.AvailableBytes > s.MemoryBytes || s.MemlockBytes == 0 {
		t.Errorf("%+v", s)
	}
	d := s.Disk
	if d.Problem != "" || d.Folder != folder || d.FreeBytes < 1 || d.TriedBytes < pieceBytes || d.TriedBytes > tryBytes || d.WriteBytesPerSecond < 1 || d.ReadBytesPerSecond < 1 {
		t.Errorf("%+v", d)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if d := tryDisk(file); d.Problem != "not a directory" || d.TriedBytes != 0 {
		t.Errorf("a file: %+v", d)
	}
	if d := tryDisk(filepath.Join(folder, "none")); d.Problem != "no such file or directory" {
		t.Errorf("no folder: %+v", d)
	}
}

func TestNVIDIAOnTheBus(t *testing.T) {
	folder := t.TempDir()
	for name, device := range map[string][2]string{"0000:1b:00.0": {"0x10de\n", "0x030200\n"}, "0000:1c:00.0": {"0x10de\n", "0x030000\n"},
		"0000:05:00.0": {"0x10de\n", "0x068000\n"}, "0000:00:02.0": {"0x8086\n", "0x030000\n"}} { // a switch, another maker's
		if err := os.MkdirAll(filepath.Join(folder, name), 0o777); err != nil {
			t.Fatal(err)
		}
		for i, file := range []string{"vendor", "class"} {
			if err := os.WriteFile(filepath.Join(folder, name, file), []byte(device[i]), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := nvidia(folder); n != 2 {
		t.Errorf("%d GPUs, want 2", n)
	}
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	r := Report{Checks: []Check{{Name: "driver", Status: OK, Found: "release 580"}, {Name: "power", Status: Warning, Found: "GPU 1: limited", Advice: "raise it"}, {Name: "ECC", Status: Fail, Found: "errors", Advice: "reset it"}}}
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := `ok       driver  release 580
warning  power   GPU 1: limited
              →  raise it
fail     ECC     errors
              →  reset it

1 ok, 1 warning, 1 failed
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestNumbers(t *testing.T) {
	for want, list := range map[string][]int{"": nil, "3": {3}, "0, 1": {0, 1}, "0-3, 7": {0, 1, 2, 3, 7}, "1, 3-5": {1, 3, 4, 5}} {
		if got := numbers(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
	text, err := json.Marshal(Idle | HWThermal | 1<<40)
	if want := `["idle","hw_thermal_slowdown","reason_0x10000000000"]`; err != nil || string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
}
