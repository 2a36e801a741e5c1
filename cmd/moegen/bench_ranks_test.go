package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	driversim "moegen/runtime/driver/sim"
	"moegen/runtime/sim"
)

// Everything that bench-ranks times is right, in the simulator with every checker on, with ranks that share a GPU and ranks that
// do not.
func TestBenchRanks(t *testing.T) {
	d := driversim.New(driversim.Config{Config: sim.Config{GPUs: 2}})
	b := benchRanks{devices: []int{0, 1, 0, 0}, rounds: 10, tokens: 8, elements: 3000}
	r, err := b.run(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	if len(r.Links) != 3 || r.Relay.Rounds != 10 || len(r.Exchanges) != 20 {
		t.Errorf("%d links, %d rounds, %d exchanges", len(r.Links), r.Relay.Rounds, len(r.Exchanges))
	}
	var table bytes.Buffer
	if err := r.print(&table); err != nil || !strings.Contains(table.String(), "10 rounds of a number") || strings.Count(table.String(), "combine_bf16") != 6 {
		t.Errorf("%v\n%s", err, table.String())
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	if _, err := (&benchRanks{devices: []int{0}, rounds: 10, tokens: 8, elements: 8}).run(t.Context(), d); err == nil || !strings.Contains(err.Error(), "two ranks are the least") {
		t.Errorf("one rank: %v", err)
	}
}
