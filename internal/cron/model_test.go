package cron_test

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// model says whether a minute belongs to an expression, by lists and walks instead
// of bits: slow, and written without a look at the package. It knows numbers only.
func model(text string, t time.Time) bool {
	f := strings.Fields(text)
	if !slices.Contains(values(f[0], 0, 59), t.Minute()) || !slices.Contains(values(f[1], 0, 23), t.Hour()) || !slices.Contains(values(f[3], 1, 12), int(t.Month())) {
		return false
	}
	dom, dow := modelMonthDay(f[2], t), modelWeekDay(f[4], t)
	switch {
	case f[2] == "*":
		return f[4] == "*" || dow
	case f[4] == "*":
		return dom
	}
	return dom || dow
}

func values(field string, lo, hi int) (out []int) {
	for item := range strings.SplitSeq(field, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		a, b := lo, hi
		if span != "*" {
			first, second, isRange := strings.Cut(span, "-")
			a, _ = strconv.Atoi(first)
			switch {
			case isRange:
				b, _ = strconv.Atoi(second)
			case !stepped:
				b = a
			}
		}
		for v, count := a, 0; ; count++ {
			if count%step == 0 {
				out = append(out, v)
			}
			if v == b {
				break
			}
			if v++; v > hi {
				v = lo
			}
		}
	}
	return out
}

// month lists the days of t's month.
func month(t time.Time) (days []time.Time) {
	for d := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC); d.Month() == t.Month(); d = d.AddDate(0, 0, 1) {
		days = append(days, d)
	}
	return days
}

func modelMonthDay(field string, t time.Time) bool {
	all := month(t)
	day, weekday := strings.CutSuffix(field, "W")
	var want int
	switch {
	case day == "L":
		want = len(all)
	case strings.HasPrefix(day, "L-"):
		n, _ := strconv.Atoi(day[2:])
		want = len(all) - n
	case weekday:
		want, _ = strconv.Atoi(day)
	default:
		return slices.Contains(values(field, 1, 31), t.Day())
	}
	if want < 1 || want > len(all) {
		return false
	}
	if !weekday {
		return t.Day() == want
	}
	best := 0
	for _, d := range all {
		if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
			continue
		}
		if best == 0 || distance(d.Day(), want) < distance(best, want) {
			best = d.Day()
		}
	}
	return t.Day() == best
}

func distance(a, b int) int { return max(a-b, b-a) }

func modelWeekDay(field string, t time.Time) bool {
	var same []int
	for _, d := range month(t) {
		if d.Weekday() == t.Weekday() {
			same = append(same, d.Day())
		}
	}
	number := int(t.Weekday()) + 1
	if field == "L" {
		return t.Weekday() == time.Saturday
	}
	if day, ok := strings.CutSuffix(field, "L"); ok {
		return day == strconv.Itoa(number) && t.Day() == same[len(same)-1]
	}
	if day, nth, ok := strings.Cut(field, "#"); ok {
		n, _ := strconv.Atoi(nth)
		return day == strconv.Itoa(number) && n <= len(same) && t.Day() == same[n-1]
	}
	return slices.Contains(values(field, 1, 7), number)
}
