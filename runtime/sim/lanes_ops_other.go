//go:build !amd64

package sim

func bestLanes() laneOps { return portableLanes }
