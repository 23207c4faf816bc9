package cron

import (
	"math/bits"
	"time"
)

// dayRule says how a day field that stands alone is read.
type dayRule uint8

const (
	anyDay         dayRule = iota // "*": the field says nothing
	daySet                        // the days of a bit set
	lastDay                       // L, L-n: n days before the last one
	lastWeekday                   // LW, L-nW
	nearestWeekday                // nW
	lastOfWeek                    // nL
	nthOfWeek                     // n#k
)

// Expr is a parsed expression. The zero value matches nothing.
type Expr struct {
	text    string
	minutes uint64 // bit m: minute m
	hours   uint32
	months  uint16 // bit m: month m, from 1

	monthDay monthDay
	weekDay  weekDay
}

type monthDay struct {
	rule dayRule
	set  uint32 // bit d: day d, from 1
	n    int    // the day of nW, the offset of L-n
}

type weekDay struct {
	rule dayRule
	set  uint8 // bit w: time.Weekday w
	day  time.Weekday
	nth  int
}

// String returns the text that was parsed.
func (e *Expr) String() string { return e.text }

// Matches reports whether the minute of t, in UTC, is one of the expression's.
func (e *Expr) Matches(t time.Time) bool {
	t = t.UTC()
	return e.minutes&(1<<t.Minute()) != 0 && e.hours&(1<<t.Hour()) != 0 && e.matchesDay(t)
}

// horizon is how far Next looks. The rarest day there is, a fifth weekday of
// February, is 40 years from the one before it (around 2100).
const horizon = 41 * 366

// Next returns the first minute of the expression that begins after t; ok is false
// when there is none, which [Parse] makes sure of.
func (e *Expr) Next(t time.Time) (next time.Time, ok bool) {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	if e.minutes == 0 || e.hours == 0 {
		return time.Time{}, false
	}
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	minute := t.Hour()*60 + t.Minute()
	for range horizon {
		if e.matchesDay(day) {
			if m, found := e.minuteFrom(minute); found {
				return day.Add(time.Duration(m) * time.Minute), true
			}
		}
		day, minute = day.AddDate(0, 0, 1), 0
	}
	return time.Time{}, false
}

// minuteFrom returns the first minute of a day, counted from midnight, at or
// after from.
func (e *Expr) minuteFrom(from int) (at int, found bool) {
	hour, minute := from/60, from%60
	if e.hours&(1<<hour) != 0 {
		if rest := e.minutes >> minute << minute; rest != 0 {
			return hour*60 + bits.TrailingZeros64(rest), true
		}
	}
	rest := uint64(e.hours) >> (hour + 1) << (hour + 1)
	if rest == 0 {
		return 0, false
	}
	return bits.TrailingZeros64(rest)*60 + bits.TrailingZeros64(e.minutes), true
}

func (e *Expr) matchesDay(t time.Time) bool {
	if e.months&(1<<t.Month()) == 0 {
		return false
	}
	switch {
	case e.monthDay.rule == anyDay && e.weekDay.rule == anyDay:
		return true
	case e.monthDay.rule == anyDay:
		return e.weekDay.matches(t)
	case e.weekDay.rule == anyDay:
		return e.monthDay.matches(t)
	}
	return e.monthDay.matches(t) || e.weekDay.matches(t)
}

func (d *monthDay) matches(t time.Time) bool {
	last := daysIn(t)
	switch d.rule { //nolint:exhaustive // the rest is not for this field
	case daySet:
		return d.set&(1<<t.Day()) != 0
	case lastDay:
		return t.Day() == last-d.n
	case lastWeekday:
		return last-d.n >= 1 && t.Day() == nearest(t, last-d.n, last)
	case nearestWeekday:
		return d.n <= last && t.Day() == nearest(t, d.n, last)
	}
	return false
}

func (d *weekDay) matches(t time.Time) bool {
	switch d.rule { //nolint:exhaustive // the rest is not for this field
	case daySet:
		return d.set&(1<<t.Weekday()) != 0
	case lastOfWeek:
		return t.Weekday() == d.day && t.Day()+7 > daysIn(t)
	case nthOfWeek:
		return t.Weekday() == d.day && (t.Day()-1)/7+1 == d.nth
	}
	return false
}

// nearest returns the weekday, Monday to Friday, nearest to a day of t's month,
// which it does not leave.
func nearest(t time.Time, day, last int) int {
	switch time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC).Weekday() { //nolint:exhaustive // the rest are weekdays
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == last {
			return day - 2
		}
		return day + 1
	}
	return day
}

// daysIn returns the number of days of t's month.
func daysIn(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
