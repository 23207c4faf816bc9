package bindings

import (
	"net/netip"
	"testing"
)

// TestClassify walks the IANA IPv4 and IPv6 special-purpose address registries
// and the forms that carry an IPv4 address: the first, the last and the outer
// neighbours of each block.
func TestClassify(t *testing.T) {
	c := newClassifier()
	tests := []struct {
		want  class
		addrs []string
	}{
		{unspecified, []string{"0.0.0.0", "::", "::ffff:0.0.0.0"}},
		{reserved, []string{"0.0.0.1", "0.255.255.255"}},
		{private, []string{"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"}},
		{public, []string{"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"}},
		{shared, []string{"100.64.0.0", "100.127.255.255"}},
		{public, []string{"100.63.255.255", "100.128.0.0"}},
		{loopback, []string{"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}},
		{public, []string{"126.255.255.255", "128.0.0.0"}},
		{linkLocal, []string{"169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "fe80::1%eth0", "febf:ffff::1", "2606:4700::1%eth0"}},
		{public, []string{"169.253.255.255", "169.255.0.0"}},
		{reserved, []string{"192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.0.255"}},
		{documentation, []string{"192.0.2.0", "192.0.2.255", "198.51.100.1", "203.0.113.255", "2001:db8::", "2001:db8:ffff::1", "3fff::", "3fff:fff::1"}},
		{public, []string{"192.0.1.255", "192.0.3.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "3ffe::1"}},
		{tunnelled, []string{"192.88.99.0", "192.88.99.255", "64:ff9b:1::", "64:ff9b:1:ffff::8.8.8.8", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"}},
		{benchmarking, []string{"198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::1"}},
		{public, []string{"198.17.255.255", "198.20.0.0"}},
		{multicast, []string{"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff::1", "::ffff:224.0.0.1"}},
		{reserved, []string{"240.0.0.0", "255.255.255.254"}},
		{broadcast, []string{"255.255.255.255"}},
		{public, []string{"1.1.1.1", "8.8.8.8", "223.255.255.255", "192.31.196.1", "192.52.193.1", "192.175.48.1"}},

		{private, []string{"fc00::", "fd00:ec2::254", "fdff:ffff::1", "fec0::1", "feff::1"}},
		{reserved, []string{"100::1", "100:0:0:1::1", "2001:1::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "5f00::1"}},
		{reserved, []string{"::2", "::7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "1::1", "4000::1", "64:ff9a::1", "fe00::1", "8000::1"}},
		{public, []string{"2000::1", "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2620:4f:8000::1", "3fff:1000::1"}},

		// IPv4 in IPv6.
		{private, []string{"::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "2002:c0a8:101::1"}},
		{loopback, []string{"64:ff9b::127.0.0.1", "2002:7f00:1::1"}},
		{linkLocal, []string{"64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "::ffff:169.254.169.254"}},
		{tunnelled, []string{"2001:0:a00:1::1", "2002:c058:6301::"}},
		{public, []string{"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"}},
	}
	for _, tt := range tests {
		for _, s := range tt.addrs {
			if got := c.classify(netip.MustParseAddr(s)); got != tt.want {
				t.Errorf("classify(%s) = %q, want %q", s, got, tt.want)
			}
		}
	}
	if got := c.classify(netip.Addr{}); got == public {
		t.Error("the zero address counts as public")
	}
}

// FuzzClassify holds that no address becomes more public by being mapped, and
// that what is public is global unicast by the standard library's lights too.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"1.1.1.1", "127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::1", "fe80::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	c := newClassifier()
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		got := c.classify(a)
		if got != c.classify(netip.AddrFrom16(a.As16())) {
			t.Errorf("%s and its IPv6 form differ", a)
		}
		u := a.Unmap()
		if got == public && (!u.IsGlobalUnicast() || u.IsPrivate() || u.IsLoopback() || u.IsLinkLocalUnicast() || u.IsMulticast()) {
			t.Errorf("%s counts as public", a)
		}
	})
}
