package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of a filter.
const (
	maxFilters = 32
	maxValues  = 100
	maxValue   = 1024 // bytes
)

// Self as a client_ip stands for the address from which the tail was opened.
const Self = "self"

// Filter selects items: all of its conditions must hold, of each any value. The
// zero value selects every one.
type Filter struct {
	SamplingRate float64 // 0: all
	Outcomes     []string
	Methods      []string // in upper case
	Headers      []HeaderFilter
	ClientIPs    []netip.Addr
	Queries      []string
	Versions     []string
}

// HeaderFilter asks for a header, and for a text in its value if one is given. Of
// headers that are redacted it sees the redacted value.
type HeaderFilter struct{ Key, Query string }

// FilterError says what is wrong with a filter, ready to be shown.
type FilterError struct{ Text string }

func (e *FilterError) Error() string { return e.Text }

func badFilter(format string, args ...any) error {
	return &FilterError{Text: fmt.Sprintf(format, args...)}
}

// ParseFilters reads the filters of a request: {"filters": [{…}, …]}, or nothing.
// Self stands for itself in client_ip filters. Every error is a *[FilterError].
func ParseFilters(body []byte, self netip.Addr) (*Filter, error) {
	f := &Filter{}
	if len(bytes.TrimSpace(body)) == 0 {
		return f, nil
	}
	var in struct {
		Filters []map[string]json.RawMessage `json:"filters"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&in); err != nil {
		return nil, badFilter("the filters of the tail are not JSON of the form {\"filters\": [{\"outcome\": [\"ok\"]}]}")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, badFilter("the filters of the tail are followed by something else")
	}
	if len(in.Filters) > maxFilters {
		return nil, badFilter("there are %d filters; at most %d are allowed", len(in.Filters), maxFilters)
	}
	for _, one := range in.Filters {
		for name, raw := range one {
			if err := f.add(name, raw, self); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func (f *Filter) add(name string, raw json.RawMessage, self netip.Addr) error {
	switch name {
	case "sampling_rate":
		if json.Unmarshal(raw, &f.SamplingRate) != nil || f.SamplingRate <= 0 || f.SamplingRate > 1 {
			return badFilter("sampling_rate must be a number above 0 and at most 1")
		}
	case "outcome":
		return texts(name, raw, &f.Outcomes)
	case "method":
		var in []string
		if err := texts(name, raw, &in); err != nil {
			return err
		}
		for _, m := range in {
			f.Methods = append(f.Methods, strings.ToUpper(m))
		}
	case "header":
		var h struct {
			Key   string `json:"key"`
			Query string `json:"query"`
		}
		if json.Unmarshal(raw, &h) != nil || h.Key == "" || len(h.Key)+len(h.Query) > maxValue {
			return badFilter("header must be {\"key\": name, \"query\": text}, of at most %d bytes", maxValue)
		}
		f.Headers = append(f.Headers, HeaderFilter{Key: strings.ToLower(h.Key), Query: h.Query})
	case "client_ip":
		return f.addIPs(raw, self)
	case "query":
		return text(name, raw, &f.Queries)
	case "scriptVersion":
		return text(name, raw, &f.Versions)
	default:
		return badFilter("there is no filter %.60q; there are sampling_rate, outcome, method, header, client_ip, query and scriptVersion", name)
	}
	return nil
}

func (f *Filter) addIPs(raw json.RawMessage, self netip.Addr) error {
	var in []string
	if err := texts("client_ip", raw, &in); err != nil {
		return err
	}
	for _, s := range in {
		addr := self
		if s != Self {
			var err error
			if addr, err = netip.ParseAddr(s); err != nil {
				return badFilter("client_ip %.60q is neither an address nor \"self\"", s)
			}
		}
		f.ClientIPs = append(f.ClientIPs, addr.Unmap())
	}
	return nil
}

func texts(name string, raw json.RawMessage, to *[]string) error {
	var in []string
	if json.Unmarshal(raw, &in) != nil || len(in) == 0 || len(in) > maxValues || slices.ContainsFunc(in, func(s string) bool { return len(s) > maxValue }) {
		return badFilter("%s must be a list of 1 to %d texts of at most %d bytes", name, maxValues, maxValue)
	}
	*to = append(*to, in...)
	return nil
}

func text(name string, raw json.RawMessage, to *[]string) error {
	var in string
	if json.Unmarshal(raw, &in) != nil || in == "" || len(in) > maxValue {
		return badFilter("%s must be a text of 1 to %d bytes", name, maxValue)
	}
	*to = append(*to, in)
	return nil
}

// Matches reports whether the filter selects an item. It draws lots for sampling
// last, so that the rate is one of what matches.
func (f *Filter) Matches(it *Item) bool {
	if len(f.Outcomes) > 0 && !slices.Contains(f.Outcomes, it.Outcome) {
		return false
	}
	if len(f.Versions) > 0 && (it.ScriptVersion == nil || !slices.Contains(f.Versions, it.ScriptVersion.ID)) {
		return false
	}
	if len(f.Methods)+len(f.Headers)+len(f.ClientIPs) > 0 {
		fetch, ok := it.Event.(Fetch)
		if !ok || !f.matchesRequest(&fetch.Request) {
			return false
		}
	}
	for _, q := range f.Queries {
		if !it.mentions(q) {
			return false
		}
	}
	return f.SamplingRate == 0 || rand.Float64() < f.SamplingRate //nolint:gosec // draws lots, guards nothing
}

func (f *Filter) matchesRequest(r *Request) bool {
	if len(f.Methods) > 0 && !slices.Contains(f.Methods, r.Method) {
		return false
	}
	for _, h := range f.Headers {
		value, ok := r.Headers[h.Key]
		if ok && sensitive(h.Key) {
			value = redacted
		}
		if !ok || !strings.Contains(value, h.Query) {
			return false
		}
	}
	if len(f.ClientIPs) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(r.ClientIP)
	return err == nil && slices.Contains(f.ClientIPs, addr.Unmap())
}

// mentions looks for a text in what was printed or thrown.
func (it *Item) mentions(text string) bool {
	for i := range it.Logs {
		if bytes.Contains(it.Logs[i].Message, []byte(text)) || jsonContains(it.Logs[i].Message, text) {
			return true
		}
	}
	for i := range it.Exceptions {
		if strings.Contains(it.Exceptions[i].Message, text) || strings.Contains(it.Exceptions[i].Name, text) {
			return true
		}
	}
	return false
}

// jsonContains looks for a text that JSON writes with escapes.
func jsonContains(message json.RawMessage, text string) bool {
	quoted, err := json.Marshal(text)
	return err == nil && bytes.Contains(message, quoted[1:len(quoted)-1])
}
