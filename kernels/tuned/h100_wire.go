package tuned

// What joins H100s, in bytes a second that reach a GPU. None of it was measured by moegen: the first of each pair is what the links are made
// for, the share what the best programs are known to get of it.
const (
	H100Link      = 450e9 // from the GPUs of its node, over the NVLinks of an SXM board
	H100LinkShare = 0.72  // DeepEP's and HybridEP's dispatch of 4096-byte rows among 8 GPUs: 325 GB/s

	H100Network      = 50e9 // from other nodes, over one port of 400 Gb/s a GPU
	H100NetworkShare = 0.9
)

// H100Memory is how many bytes of memory the driver counts on an H100 with 80 GB.
const H100Memory = 81079 << 20
