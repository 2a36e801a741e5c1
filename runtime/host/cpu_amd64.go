package host

import "golang.org/x/sys/cpu"

// supportedISAs lists what this machine can run, best first.
func supportedISAs() []isa {
	isas := []isa{portable}
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA {
		isas = append([]isa{avx2}, isas...)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			isas = append([]isa{avx512}, isas...)
		}
	}
	return isas
}
