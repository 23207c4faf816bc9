package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one measured number, and what was asked of it.
type row struct {
	Suite  string  `json:"suite"`
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Wanted string  `json:"wanted,omitempty"`
	Met    *bool   `json:"met,omitempty"`
}

type report struct {
	Time    time.Time `json:"time"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Version string    `json:"version"`
	Rows    []row     `json:"rows"`
}

func (r *report) add(suite, what string, value float64, unit string) {
	r.Rows = append(r.Rows, row{Suite: suite, What: what, Value: value, Unit: unit})
	fmt.Printf("  %-62s %12.2f %s\n", what, value, unit)
}

// want adds a number that has a bound: atLeast or at most.
func (r *report) want(suite, what string, value float64, unit, op string, bound float64) {
	met := value >= bound
	if op == "<=" {
		met = value <= bound
	}
	sign := map[bool]string{true: "met", false: "NOT MET"}[met]
	r.Rows = append(r.Rows, row{Suite: suite, What: what, Value: value, Unit: unit, Wanted: fmt.Sprintf("%s %g", op, bound), Met: &met})
	fmt.Printf("  %-62s %12.2f %-10s wanted %s %g: %s\n", what, value, unit, op, bound, sign)
}

// write replaces the report of one suite.
func (r *report) write(dir, suite string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	js, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var md strings.Builder
	fmt.Fprintf(&md, "# Benchmark report: %s\n\n%s, selvage %s, %s, %d cores (shared with the load generator). Ratios matter, absolutes do not.\n\n", suite, r.Time.Format("2006-01-02"), r.Version, r.CPU, r.Cores)
	md.WriteString("| what | value | unit | wanted | met |\n|---|---:|---|---|---|\n")
	for _, row := range r.Rows {
		met := ""
		if row.Met != nil {
			met = map[bool]string{true: "yes", false: "**no**"}[*row.Met]
		}
		fmt.Fprintf(&md, "| %s | %.2f | %s | %s | %s |\n", row.What, row.Value, row.Unit, row.Wanted, met)
	}
	if err := os.WriteFile(filepath.Join(dir, suite+".json"), append(js, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, suite+".md"), []byte(md.String()), 0o644)
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), ":"))
			}
		}
	}
	return runtime.GOARCH
}

// quantile is the q-quantile (0..1) of xs by the nearest-rank rule.
func quantile(xs []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if len(s) == 0 {
		return 0
	}
	i := int(q*float64(len(s))+0.999999) - 1
	return s[max(0, min(i, len(s)-1))]
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }
