package cron

import (
	"fmt"
	"strings"
	"time"
)

// maxText bounds an expression, in bytes. A list of every minute fits.
const maxText = 512

// SyntaxError says what is wrong with an expression, ready to be shown.
type SyntaxError struct {
	Expr  string // cut to a length that can be shown
	Field string // "minute", "hour", …; empty when the whole is at fault
	Value string // the part of the field that is at fault
	Why   string
}

// Error names the expression, the field and the value.
func (e *SyntaxError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("cron expression %q: %s", e.Expr, e.Why)
	}
	return fmt.Sprintf("cron expression %q: %s %q %s", e.Expr, e.Field, e.Value, e.Why)
}

// A field is one of the five and the values that it takes.
type field struct {
	name     string
	min, max int
	names    []string // of the values from min on, three letters each
}

const (
	months = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
	days   = "SUN MON TUE WED THU FRI SAT"
)

func fields() [5]field {
	return [5]field{
		{name: "minute", min: 0, max: 59},
		{name: "hour", min: 0, max: 23},
		{name: "day of month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: strings.Fields(months)},
		{name: "day of week", min: 1, max: 7, names: strings.Fields(days)},
	}
}

// Parse reads an expression. Every error is a *[SyntaxError].
func Parse(text string) (*Expr, error) {
	shown := text
	if len(shown) > maxText {
		shown = strings.ToValidUTF8(shown[:50], "?") + "…"
	}
	if len(text) > maxText {
		return nil, &SyntaxError{Expr: shown, Why: fmt.Sprintf("it is longer than %d bytes", maxText)}
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(parts) != 5 {
		return nil, &SyntaxError{Expr: shown, Why: fmt.Sprintf("it has %d fields; it needs five: minute, hour, day of month, month, day of week", len(parts))}
	}
	e := &Expr{text: text}
	for i, f := range fields() {
		if bad := e.setField(i, &f, parts[i]); bad != nil {
			bad.Expr, bad.Field = shown, f.name
			return nil, bad
		}
	}
	if _, ok := e.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return nil, &SyntaxError{Expr: shown, Why: "no such day ever comes"}
	}
	return e, nil
}

func (e *Expr) setField(i int, f *field, text string) *SyntaxError {
	switch i {
	case 2:
		return e.monthDay.parse(f, text)
	case 4:
		return e.weekDay.parse(f, text)
	}
	set, _, bad := f.set(text)
	switch i {
	case 0:
		e.minutes = set
	case 1:
		e.hours = uint32(set) //nolint:gosec // at most bit 23
	case 3:
		e.months = uint16(set) //nolint:gosec // at most bit 12
	}
	return bad
}

func (d *monthDay) parse(f *field, text string) *SyntaxError {
	upper := strings.ToUpper(text)
	day, weekday := strings.CutSuffix(upper, "W")
	offset, last := strings.CutPrefix(day, "L")
	var bad *SyntaxError
	switch {
	case last:
		d.rule = lastDay
		if weekday {
			d.rule = lastWeekday
		}
		if offset == "" {
			return nil
		}
		number, ok := strings.CutPrefix(offset, "-")
		n, isNumber := atoi(number)
		if !ok || !isNumber || n < 1 || n > 30 {
			return &SyntaxError{Value: text, Why: "is not L, LW, L-n or L-nW with n from 1 to 30; a form with L stands alone"}
		}
		d.n = n
		return nil
	case weekday:
		d.rule = nearestWeekday
		d.n, bad = f.value(day)
		if bad != nil {
			return &SyntaxError{Value: text, Why: "is not a day and W, such as 15W; such a form stands alone"}
		}
		return nil
	}
	set, all, bad := f.set(text)
	d.set = uint32(set) //nolint:gosec // at most bit 31
	if !all {
		d.rule = daySet
	}
	return bad
}

func (d *weekDay) parse(f *field, text string) *SyntaxError {
	upper := strings.ToUpper(text)
	if upper == "L" {
		d.rule, d.set = daySet, 1<<time.Saturday
		return nil
	}
	if day, nth, ok := strings.Cut(upper, "#"); ok {
		n, isNumber := atoi(nth)
		if !isNumber || n < 1 || n > 5 {
			return &SyntaxError{Value: text, Why: "is not a day, # and a number from 1 to 5; such a form stands alone"}
		}
		v, bad := f.value(day)
		d.rule, d.day, d.nth = nthOfWeek, time.Weekday(v-1), n
		return bad
	}
	if day, ok := strings.CutSuffix(upper, "L"); ok {
		v, bad := f.value(day)
		if bad != nil {
			return &SyntaxError{Value: text, Why: "is not a day of the week and L, such as 6L or FRIL; such a form stands alone"}
		}
		d.rule, d.day = lastOfWeek, time.Weekday(v-1)
		return nil
	}
	set, all, bad := f.set(text)
	d.set = uint8(set >> 1) //nolint:gosec // bits 1 to 7, of which Sunday is time.Weekday 0
	if !all {
		d.rule = daySet
	}
	return bad
}

// set reads a list of values, ranges and steps; all is true for "*" alone.
func (f *field) set(text string) (set uint64, all bool, bad *SyntaxError) {
	if text == "*" {
		for v := f.min; v <= f.max; v++ {
			set |= 1 << v
		}
		return set, true, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		bits, bad := f.item(item)
		if bad != nil {
			return 0, false, bad
		}
		set |= bits
	}
	return set, false, nil
}

// item reads one value, range or step.
func (f *field) item(text string) (set uint64, bad *SyntaxError) {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		// A longer step than the field would never be taken.
		n, ok := atoi(stepText)
		if !ok || n < 1 || n > f.max-f.min {
			return 0, &SyntaxError{Value: text, Why: fmt.Sprintf("has a step that is not a number from 1 to %d", f.max-f.min)}
		}
		step = n
	}
	from, to := f.min, f.max
	if span != "*" {
		first, second, isRange := strings.Cut(span, "-")
		if from, bad = f.value(first); bad != nil {
			return 0, bad
		}
		switch {
		case isRange:
			if to, bad = f.value(second); bad != nil {
				return 0, bad
			}
		case !stepped:
			to = from
		}
	} else if !stepped {
		return 0, &SyntaxError{Value: text, Why: "stands in a list; * stands alone"}
	}
	if to < from { // round the end
		to += f.max - f.min + 1
	}
	for v := from; v <= to; v += step {
		wrapped := v
		if v > f.max {
			wrapped -= f.max - f.min + 1
		}
		set |= 1 << wrapped
	}
	return set, nil
}

// value reads a number or a name.
func (f *field) value(text string) (int, *SyntaxError) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, ok := atoi(text)
	if ok && n >= f.min && n <= f.max {
		return n, nil
	}
	why := fmt.Sprintf("is not a number from %d to %d", f.min, f.max)
	if f.names != nil {
		why += fmt.Sprintf(" or a name from %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	if f.name == "day of week" && text == "0" {
		why += "; Sunday is 1"
	}
	return 0, &SyntaxError{Value: text, Why: why}
}

// atoi reads a number of one to three digits, without a sign.
func atoi(s string) (n int, ok bool) {
	if s == "" || len(s) > 3 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
