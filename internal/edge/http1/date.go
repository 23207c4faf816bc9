package http1

import (
	"sync/atomic"
	"time"
)

// dates keeps the Date field of the current second.
type dates struct {
	last atomic.Pointer[date]
}

type date struct {
	second int64
	text   []byte
}

func (d *dates) append(b []byte, now time.Time) []byte {
	second := now.Unix()
	last := d.last.Load()
	if last == nil || last.second != second {
		last = &date{second, appendDate(nil, now)}
		d.last.Store(last)
	}
	return append(b, last.text...)
}
