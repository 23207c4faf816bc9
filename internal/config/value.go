package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written with a binary unit: 64KiB, 512MiB, 2GiB.
type Size int64

const (
	minCache       = 16 << 20
	minIdleStop    = 100 * time.Millisecond
	minCPU         = 10 * time.Millisecond
	maxCPU         = 5 * time.Minute
	minLogAge      = time.Hour
	maxDrain       = time.Hour
	minDeployDrain = time.Second
	maxDeployDrain = 24 * time.Hour

	minObjectHandover = 100 * time.Millisecond
	maxObjectHandover = 10 * time.Minute
	wantTimeout       = "a duration from 100ms to 24h, such as 30s"
)

// String returns the size in the largest unit that needs no fraction.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

type sizeUnit struct {
	name  string
	bytes int64
}

func sizeUnits() []sizeUnit {
	return []sizeUnit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

func parseSize(text string) (Size, bool) {
	factor := int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return 0, false
	}
	return Size(int64(n) * factor), true
}

// String returns the rule as the configuration takes it.
func (r EgressRule) String() string {
	if r.FromPort == 0 && r.ToPort == 0 {
		return r.Prefix.String()
	}
	host := r.Prefix.String()
	if r.Prefix.Addr().Is6() {
		host = "[" + host + "]"
	}
	if r.FromPort == r.ToPort {
		return fmt.Sprintf("%s:%d", host, r.FromPort)
	}
	return fmt.Sprintf("%s:%d-%d", host, r.FromPort, r.ToPort)
}

// ParseEgressRule reads PREFIX, PREFIX:PORT or PREFIX:FIRST-LAST; an IPv6
// prefix with ports stands in brackets. A lone address is a network of one.
func ParseEgressRule(text string) (EgressRule, bool) {
	network, ports, hasPorts := text, "", false
	if rest, ok := strings.CutPrefix(text, "["); ok {
		network, ports, hasPorts = strings.Cut(rest, "]")
		if !hasPorts {
			return EgressRule{}, false
		}
		if ports, hasPorts = strings.CutPrefix(ports, ":"); !hasPorts {
			return EgressRule{}, false
		}
	} else if strings.Count(text, ":") == 1 {
		network, ports, hasPorts = strings.Cut(text, ":")
	}
	var r EgressRule
	var ok bool
	if r.Prefix, ok = parsePrefix(network); !ok {
		return EgressRule{}, false
	}
	if !hasPorts {
		return r, true
	}
	first, last, ranged := strings.Cut(ports, "-")
	if !ranged {
		last = first
	}
	from, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return EgressRule{}, false
	}
	to, err := strconv.ParseUint(last, 10, 16)
	if err != nil || from == 0 || to < from {
		return EgressRule{}, false
	}
	r.FromPort, r.ToPort = uint16(from), uint16(to)
	return r, true
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// parse sets *target from text as variables and flags have it; lists are
// separated by commas.
func parse(target any, text string) (ok bool) {
	switch p := target.(type) {
	case *string:
		*p = text
		return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
	case *int:
		n, err := strconv.Atoi(text)
		*p = n
		return err == nil
	case *bool:
		b, err := strconv.ParseBool(text)
		*p = b
		return err == nil
	case *Size:
		*p, ok = parseSize(text)
		return ok
	case *time.Duration:
		d, err := time.ParseDuration(text)
		*p = d
		return err == nil && d >= 0
	case *[]netip.Prefix:
		*p, ok = parseList(text, parsePrefix)
		return ok
	case *[]EgressRule:
		*p, ok = parseList(text, ParseEgressRule)
		return ok
	case *[]AIUpstream:
		*p, ok = parseList(text, parseUpstream)
		return ok
	case *[]AIHub:
		*p, ok = parseList(text, parseHub)
		return ok
	case *[]AIRoute:
		*p, ok = parseList(text, parseRoute)
		return ok
	default:
		panic(fmt.Sprintf("config: no parser for %T", target))
	}
}

func parseList[T any](text string, one func(string) (T, bool)) ([]T, bool) {
	var list []T
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	for item := range strings.SplitSeq(text, ",") {
		v, ok := one(strings.TrimSpace(item))
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	return list, true
}

func format(target any) string {
	switch p := target.(type) {
	case *string:
		return *p
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		return strconv.FormatBool(*p)
	case *Size:
		return p.String()
	case *time.Duration:
		return formatDuration(*p)
	case *[]netip.Prefix:
		return formatList(*p)
	case *[]EgressRule:
		return formatList(*p)
	case *[]AIUpstream:
		return formatList(*p)
	case *[]AIHub:
		return formatList(*p)
	case *[]AIRoute:
		return formatList(*p)
	default:
		panic(fmt.Sprintf("config: no format for %T", target))
	}
}

// formatDuration leaves out the zero units that time.Duration writes: 10m, not 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func formatList[T fmt.Stringer](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.String()
	}
	return strings.Join(texts, ",")
}

func between(n, low, high int) bool { return n >= low && n <= high }

func oneOf(s string, valid ...string) bool { return slices.Contains(valid, s) }

func validTimeout(d time.Duration) bool { return d >= 100*time.Millisecond && d <= 24*time.Hour }

func validHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

func validDomain(name string) bool {
	if name == "" || len(name) > 180 { // leaves room for <worker>.<subdomain>.workers. in 253
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel is RFC 1123's host label, lower-case.
func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}
