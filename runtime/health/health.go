// Package health reads what a training run depends on and no program can change: the driver, the GPUs and what joins them,
// limits, memory, disks.
package health
