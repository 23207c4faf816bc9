package dockerapi

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxQuestion = 512 // bytes, as without EDNS
	maxLookups  = 64  // at a time
	nameTTL     = 5   // seconds
	nameTimeout = 5 * time.Second
	maxAnswers  = 8
)

// standIn is the address of a name that the object intercepts and nobody else knows:
// one of those that are for measurements between networks (RFC 2544), so that nothing
// is there. Where a connection is to go says the name in it.
var standIn = netip.AddrFrom4([4]byte{198, 18, 0, 1}) //nolint:gochecknoglobals // a constant

// serveNames answers a container's questions for names.
func (g *gateway) serveNames(ctx context.Context, conn net.PacketConn) {
	slots := make(chan struct{}, maxLookups)
	buf := make([]byte, maxQuestion)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		question := append([]byte(nil), buf[:n]...)
		select {
		case slots <- struct{}{}:
		default:
			continue // it asks again
		}
		go func() {
			defer func() { <-slots }()
			if answer := g.answer(ctx, question); answer != nil {
				_, _ = conn.WriteTo(answer, from) // who does not get it asks again
			}
		}()
	}
}

// answer returns the answer to a question; nil to what is none.
func (g *gateway) answer(ctx context.Context, question []byte) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(question)
	if err != nil || head.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	out := dnsmessage.Header{ID: head.ID, Response: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}
	var addrs []netip.Addr
	switch {
	case head.OpCode != 0 || q.Class != dnsmessage.ClassINET:
		out.RCode = dnsmessage.RCodeNotImplemented
	case q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeAAAA:
		addrs, out.RCode = g.resolve(ctx, strings.TrimSuffix(q.Name.String(), "."))
	default:
		out.RCode = dnsmessage.RCodeNotImplemented
	}
	b := dnsmessage.NewBuilder(nil, out)
	if err := b.StartQuestions(); err != nil {
		return nil
	}
	if err := b.Question(q); err != nil {
		return nil
	}
	if err := b.StartAnswers(); err != nil {
		return nil
	}
	for _, a := range addrs {
		if q.Type != dnsmessage.TypeA || !a.Is4() {
			continue // there is no IPv6 in a container's network
		}
		if err := b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: nameTTL}, dnsmessage.AResource{A: a.As4()}); err != nil {
			return nil
		}
	}
	answer, err := b.Finish()
	if err != nil {
		return nil
	}
	return answer
}

func (g *gateway) resolve(ctx context.Context, host string) ([]netip.Addr, dnsmessage.RCode) {
	s := g.settings()
	intercepted := s.names(host)
	if !intercepted && !s.Internet.Enabled {
		return nil, dnsmessage.RCodeNameError
	}
	if s.Internet.Enabled {
		ctx, cancel := context.WithTimeout(ctx, nameTimeout)
		defer cancel()
		found, err := g.h.outbound.Lookup(ctx, host)
		var out []netip.Addr
		for _, a := range found {
			if a = a.Unmap(); a.Is4() && len(out) < maxAnswers {
				out = append(out, a)
			}
		}
		if err == nil && (len(out) > 0 || !intercepted) {
			return out, dnsmessage.RCodeSuccess
		}
	}
	if intercepted {
		return []netip.Addr{standIn}, dnsmessage.RCodeSuccess
	}
	return nil, dnsmessage.RCodeNameError
}
