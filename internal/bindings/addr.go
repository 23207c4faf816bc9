package bindings

import "net/netip"

// class says what kind of address something is, in words for logs and messages.
type class string

const (
	public        class = "public"
	loopback      class = "loopback"
	private       class = "private network"
	shared        class = "carrier-grade NAT"
	linkLocal     class = "link-local"
	multicast     class = "multicast"
	unspecified   class = "unspecified"
	broadcast     class = "broadcast"
	benchmarking  class = "benchmarking"
	documentation class = "documentation"
	reserved      class = "reserved"
	tunnelled     class = "tunnel or translator"
	ownAddress    class = "this machine"
)

// block is one row of the special-purpose registries.
type block struct {
	prefix netip.Prefix
	class  class
}

// classifier knows the IANA special-purpose address registries (RFC 6890 and
// its updates), as far as they name blocks that are not globally reachable
// unicast. It is immutable.
type classifier struct {
	blocks  []block
	global6 netip.Prefix
	nat64   netip.Prefix
	sixTo4  netip.Prefix
}

func newClassifier() *classifier {
	rows := []struct {
		class    class
		prefixes []string
	}{
		{unspecified, []string{"0.0.0.0/32", "::/128"}},
		{reserved, []string{"0.0.0.0/8"}},         // "this network", RFC 791
		{private, []string{"10.0.0.0/8"}},         // RFC 1918
		{shared, []string{"100.64.0.0/10"}},       // RFC 6598
		{loopback, []string{"127.0.0.0/8"}},       // RFC 1122
		{linkLocal, []string{"169.254.0.0/16"}},   // RFC 3927, cloud metadata services
		{private, []string{"172.16.0.0/12"}},      // RFC 1918
		{reserved, []string{"192.0.0.0/24"}},      // IETF protocol assignments, RFC 6890
		{documentation, []string{"192.0.2.0/24"}}, // RFC 5737
		{tunnelled, []string{"192.88.99.0/24"}},   // 6to4 relay anycast, RFC 7526
		{private, []string{"192.168.0.0/16"}},     // RFC 1918
		{benchmarking, []string{"198.18.0.0/15"}}, // RFC 2544
		{documentation, []string{"198.51.100.0/24", "203.0.113.0/24"}},
		{multicast, []string{"224.0.0.0/4"}}, // RFC 5771
		{broadcast, []string{"255.255.255.255/32"}},
		{reserved, []string{"240.0.0.0/4"}}, // RFC 1112

		{loopback, []string{"::1/128"}},
		{tunnelled, []string{"64:ff9b:1::/48"}}, // local-use NAT64, RFC 8215
		{reserved, []string{"100::/64", "100:0:0:1::/64"}},
		{tunnelled, []string{"2001::/32"}},      // Teredo, RFC 4380
		{benchmarking, []string{"2001:2::/48"}}, // RFC 5180
		{reserved, []string{"2001::/23"}},       // IETF protocol assignments, RFC 2928
		{documentation, []string{"2001:db8::/32", "3fff::/20"}},
		{reserved, []string{"5f00::/16"}},  // SRv6 SIDs, RFC 9602
		{private, []string{"fc00::/7"}},    // unique local, RFC 4193
		{linkLocal, []string{"fe80::/10"}}, // RFC 4291
		{private, []string{"fec0::/10"}},   // site-local, RFC 3879
		{multicast, []string{"ff00::/8"}},  // RFC 4291
	}
	c := &classifier{
		global6: netip.MustParsePrefix("2000::/3"),
		nat64:   netip.MustParsePrefix("64:ff9b::/96"),
		sixTo4:  netip.MustParsePrefix("2002::/16"),
	}
	for _, r := range rows {
		for _, p := range r.prefixes {
			c.blocks = append(c.blocks, block{netip.MustParsePrefix(p), r.class})
		}
	}
	return c
}

// classify says what kind of address a is. Forms that carry an IPv4 address are
// as good as that address. In IPv6, what is not global unicast (2000::/3, RFC
// 4291) is refused even where no registry names it yet.
func (c *classifier) classify(a netip.Addr) class {
	if !a.IsValid() {
		return unspecified
	}
	if a.Zone() != "" {
		return linkLocal
	}
	a = a.Unmap()
	for _, b := range c.blocks {
		if b.prefix.Contains(a) {
			return b.class
		}
	}
	if a.Is4() {
		return public
	}
	raw := a.As16()
	switch {
	case c.nat64.Contains(a): // RFC 6052
		return c.classify(netip.AddrFrom4([4]byte(raw[12:16])))
	case c.sixTo4.Contains(a): // RFC 3056
		return c.classify(netip.AddrFrom4([4]byte(raw[2:6])))
	case c.global6.Contains(a):
		return public
	}
	return reserved
}
