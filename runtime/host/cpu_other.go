//go:build !amd64

package host

// supportedISAs lists what this machine can run, best first.
func supportedISAs() []isa { return []isa{portable} }

// spinPause has no counterpart here: a spinning worker just loops.
func spinPause() {}
