package check

import (
	"testing"
)

// Every case that the simulator can run is right, under a few schedules.
func TestCases(t *testing.T) {
	items, err := Select(nil, "", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		t.Run(item.Kernel+"/"+item.Case.Name, func(t *testing.T) {
			r := Run(item, "", Options{Seeds: 3})
			if !r.OK() {
				t.Errorf("%+v", *r.Failure)
			}
			if r.Worst == nil || r.Moved < r.Floor {
				t.Errorf("worst %+v, moved %d of %d bytes", r.Worst, r.Moved, r.Floor)
			}
		})
	}
}
