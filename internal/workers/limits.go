package workers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// What a worker may ask for in its own limits, as the original allows.
const (
	maxCPUMillis   = 5 * 60 * 1000
	maxSubrequests = 10_000_000
)

// limits are what a process or one of its requests may take.
type limits struct {
	cpu         time.Duration // of JavaScript without a break; 0: unlimited
	memory      int64         // bytes beyond the runtime's own; 0: unlimited
	subrequests int           // of one request; 0: unlimited
}

// ownLimits are those of a worker's configuration.
type ownLimits struct {
	CPUMillis   int `json:"cpu_ms"`
	Subrequests int `json:"subrequests"`
}

// readLimits keeps the limits of an upload, if they are any.
func readLimits(u *Upload, raw json.RawMessage) error {
	var own ownLimits
	if err := keep(&u.Limits, raw, &own); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return err
	}
	for key, bound := range map[string]struct{ value, most int }{
		"cpu_ms": {own.CPUMillis, maxCPUMillis}, "subrequests": {own.Subrequests, maxSubrequests},
	} {
		if _, there := given[key]; there && (bound.value < 1 || bound.value > bound.most) {
			return fmt.Errorf("%s is %d; use a number from 1 to %d", key, bound.value, bound.most)
		}
	}
	return nil
}

// limitsOf returns what applies to a version.
func (s *Service) limitsOf(doc *document) limits {
	var own ownLimits
	if len(doc.Limits) > 0 {
		_ = json.Unmarshal(doc.Limits, &own) // checked at the upload; of an older release: the defaults
	}
	return limits{
		cpu:         cmp.Or(time.Duration(own.CPUMillis)*time.Millisecond, s.o.CPULimit),
		memory:      s.o.MemoryLimit,
		subrequests: cmp.Or(own.Subrequests, s.o.SubrequestsLimit),
	}
}
