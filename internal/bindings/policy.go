package bindings

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// portSMTP is refused as the original platform does, against mail from stolen or
// careless workers, unless a rule names ports that include it.
const portSMTP = 25

// rule lets a worker reach addresses that are refused otherwise.
type rule struct {
	prefix netip.Prefix
	// from and to bound the port, both included; 0 and 0 mean all of them.
	from, to uint16
}

// newRule checks a rule and brings its prefix into the form that addresses are
// compared in.
func newRule(prefix netip.Prefix, from, to uint16) (rule, error) {
	if !prefix.IsValid() {
		return rule{}, fmt.Errorf("egress rule: prefix is not valid: write it as 10.0.0.0/8 or fd00::/8")
	}
	if (from == 0) != (to == 0) || to < from {
		return rule{}, fmt.Errorf("egress rule for %s: ports %d to %d are not a range", prefix, from, to)
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return rule{}, fmt.Errorf("egress rule for %s: write IPv4 prefixes as IPv4", prefix)
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return rule{prefix: prefix.Masked(), from: from, to: to}, nil
}

func (r rule) allows(a netip.AddrPort) bool {
	if !r.prefix.Contains(a.Addr()) {
		return false
	}
	if r.from == 0 {
		return a.Port() != portSMTP
	}
	return a.Port() >= r.from && a.Port() <= r.to
}

// policy decides which addresses one version may dial.
type policy struct {
	classes *classifier
	own     *ownAddrs
	rules   []rule
}

// check returns nil if a may be dialled, else a *failure with outcome refused.
func (p *policy) check(a netip.AddrPort) error {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	for _, r := range p.rules {
		if r.allows(a) {
			return nil
		}
	}
	class := p.classes.classify(a.Addr())
	if class == public {
		own, err := p.own.contains(a.Addr())
		if err != nil {
			return &failure{
				outcome: outcomeRefused, status: http.StatusForbidden, addr: a.Addr(), err: err,
				text: "the platform cannot tell its own addresses from others now, so it refuses all of them",
			}
		}
		if own {
			class = ownAddress
		}
	}
	if class != public {
		return &failure{
			outcome: outcomeRefused, status: http.StatusForbidden, addr: a.Addr(), class: class,
			text: "the address is not on the public internet (" + string(class) + ") and no egress rule of this worker allows it; " +
				"the operator of this platform can allow it by address range and port",
		}
	}
	if a.Port() == portSMTP {
		return refusedPort(portSMTP)
	}
	return nil
}

func refusedPort(port int) *failure {
	return &failure{
		outcome: outcomeRefused, status: http.StatusForbidden,
		text: "port " + strconv.Itoa(port) + " is not open to workers without an egress rule that names it",
	}
}

// ownAddrs knows the addresses of this machine. Services that listen on a public
// address but are kept from the outside by a firewall are within reach from here.
type ownAddrs struct {
	list func() ([]netip.Addr, error)
	keep time.Duration

	mu    sync.Mutex
	read  time.Time
	addrs []netip.Addr
}

// contains lists the addresses anew when the last list is older than keep.
func (o *ownAddrs) contains(a netip.Addr) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.read.IsZero() || time.Since(o.read) > o.keep {
		addrs, err := o.list()
		if err != nil {
			return false, fmt.Errorf("list the addresses of this machine: %w", err)
		}
		o.addrs, o.read = addrs, time.Now()
	}
	return slices.Contains(o.addrs, a), nil
}

// interfaceAddrs lists the addresses of all network interfaces.
func interfaceAddrs() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, n := range nets {
		if ipn, ok := n.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(ipn.IP); ok {
				out = append(out, a.Unmap())
			}
		}
	}
	return out, nil
}
