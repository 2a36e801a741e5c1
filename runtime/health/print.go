package health

import (
	"fmt"
	"io"
	"strings"

	"moegen/runtime/metrics"
)

// Print writes a report for people: a line for each check, and what to do below it.
func (r Report) Print(w io.Writer) error {
	var text strings.Builder
	name, status := 0, len(Warning)
	for _, c := range r.Checks {
		name = max(name, len(c.Name))
	}
	for _, c := range r.Checks {
		fmt.Fprintf(&text, "%-*s  %-*s  %s\n", status, c.Status, name, c.Name, c.Found)
		if c.Advice != "" {
			fmt.Fprintf(&text, "%*s  %s\n", status+2+name, "→", c.Advice)
		}
	}
	count := map[Status]int{}
	for _, c := range r.Checks {
		count[c.Status]++
	}
	fmt.Fprintf(&text, "\n%d ok, %d %s, %d failed\n", count[OK], count[Warning], plural(count[Warning], "warning"), count[Fail])
	_, err := io.WriteString(w, text.String())
	return err
}

// amount prints a number of bytes.
func amount(n int64) string { return metrics.Bytes(n) }

// rate prints bytes a second, in the decimal units that links and disks are sold in.
func rate(n int64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.1f GB/s", float64(n)/1e9)
	}
	return fmt.Sprintf("%.0f MB/s", float64(n)/1e6)
}
