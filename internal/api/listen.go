package api

import (
	"fmt"
	"net"
	"net/netip"
)

// CheckListen says whether the API may listen on addr ("host:port"). Tokens travel in its requests,
// so without TLS it listens on loopback addresses only, unless the operator insists (insecure). A
// name other than localhost counts as not loopback: what it resolves to may change.
func CheckListen(addr string, tls, insecure bool) error { //nolint:revive // two facts of a configuration, not control flags
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("api listen address %q: %w; give host:port, for example 127.0.0.1:8788", addr, err)
	}
	if tls || insecure || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("api listen address %q is not on loopback and has no TLS: tokens would cross the network in the clear; configure a certificate, listen on 127.0.0.1, or insist with --insecure-http", addr)
}
