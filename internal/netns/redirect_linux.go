package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Redirect makes every IPv4 address one of the namespace's own, and has what is sent
// by TCP to any but loopback arrive at a port of it instead: who listens there on
// 0.0.0.0 is a way out for all of it, and finds with [OriginalDestination] where it
// was to go. It is for namespaces in which nothing but loopback is.
func (n *NS) Redirect(port uint16) error {
	err := n.Do(func() error {
		lo, err := net.InterfaceByName("lo")
		if err != nil {
			return err
		}
		if err := everythingLocal(uint32(lo.Index)); err != nil { //nolint:gosec // an index of a device
			return fmt.Errorf("route: %w", err)
		}
		if err := redirectTCP(port); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("netns: redirect: %w", err)
	}
	return nil
}

// everythingLocal is "ip route add local 0.0.0.0/0 dev lo" (rtnetlink(7)).
func everythingLocal(device uint32) error {
	route := make([]byte, unix.SizeofRtMsg)
	route[0] = unix.AF_INET
	route[4] = unix.RT_TABLE_LOCAL
	route[5] = unix.RTPROT_BOOT
	route[6] = unix.RT_SCOPE_HOST
	route[7] = unix.RTN_LOCAL
	m := newMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, 1, route)
	m.attr(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, device))
	return talk(unix.NETLINK_ROUTE, 1, m.bytes())
}

// Of linux/netfilter/nf_tables.h.
const (
	redirProtoMin = 1    // NFTA_REDIR_REG_PROTO_MIN
	priorityDNAT  = -100 // NF_IP_PRI_NAT_DST

	loopbackMask = 0xff000000
	loopbackNet  = 0x7f000000

	destination = 16 // offset of the destination in an IPv4 header

	table = "selvage"
	chain = "out"
)

// redirectTCP is, as one transaction,
//
//	add table ip selvage
//	add chain ip selvage out { type nat hook output priority dstnat; }
//	add rule ip selvage out ip daddr != 127.0.0.0/8 meta l4proto tcp redirect to :port
func redirectTCP(port uint16) error {
	const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8
	family := []byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}
	bound := []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}
	const create = unix.NLM_F_CREATE | unix.NLM_F_ACK

	newTable := newMessage(subsystem|unix.NFT_MSG_NEWTABLE, create, 2, family).text(unix.NFTA_TABLE_NAME, table).big(unix.NFTA_TABLE_FLAGS, 0)

	priority := int32(priorityDNAT)
	newChain := newMessage(subsystem|unix.NFT_MSG_NEWCHAIN, create, 3, family).
		text(unix.NFTA_CHAIN_TABLE, table).text(unix.NFTA_CHAIN_NAME, chain).text(unix.NFTA_CHAIN_TYPE, "nat")
	newChain.begin(unix.NFTA_CHAIN_HOOK).big(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_LOCAL_OUT).big(unix.NFTA_HOOK_PRIORITY, uint32(priority)).end() //nolint:gosec // negative, in two's complement

	rule := newMessage(subsystem|unix.NFT_MSG_NEWRULE, create|unix.NLM_F_APPEND, 4, family).
		text(unix.NFTA_RULE_TABLE, table).text(unix.NFTA_RULE_CHAIN, chain).begin(unix.NFTA_RULE_EXPRESSIONS)
	value := func(m *message, kind uint16, v []byte) { m.begin(kind).attr(unix.NFTA_DATA_VALUE, v).end() }
	expression := func(name string, fill func(*message)) {
		rule.begin(unix.NFTA_LIST_ELEM).text(unix.NFTA_EXPR_NAME, name).begin(unix.NFTA_EXPR_DATA)
		fill(rule)
		rule.end().end()
	}
	expression("payload", func(m *message) {
		m.big(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1).big(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER)
		m.big(unix.NFTA_PAYLOAD_OFFSET, destination).big(unix.NFTA_PAYLOAD_LEN, net.IPv4len)
	})
	expression("bitwise", func(m *message) {
		m.big(unix.NFTA_BITWISE_SREG, unix.NFT_REG_1).big(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1).big(unix.NFTA_BITWISE_LEN, net.IPv4len)
		value(m, unix.NFTA_BITWISE_MASK, binary.BigEndian.AppendUint32(nil, loopbackMask))
		value(m, unix.NFTA_BITWISE_XOR, make([]byte, net.IPv4len))
	})
	expression("cmp", func(m *message) {
		m.big(unix.NFTA_CMP_SREG, unix.NFT_REG_1).big(unix.NFTA_CMP_OP, unix.NFT_CMP_NEQ)
		value(m, unix.NFTA_CMP_DATA, binary.BigEndian.AppendUint32(nil, loopbackNet))
	})
	expression("meta", func(m *message) {
		m.big(unix.NFTA_META_DREG, unix.NFT_REG_1).big(unix.NFTA_META_KEY, unix.NFT_META_L4PROTO)
	})
	expression("cmp", func(m *message) {
		m.big(unix.NFTA_CMP_SREG, unix.NFT_REG_1).big(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ)
		value(m, unix.NFTA_CMP_DATA, []byte{unix.IPPROTO_TCP})
	})
	expression("immediate", func(m *message) {
		m.big(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1)
		value(m, unix.NFTA_IMMEDIATE_DATA, binary.BigEndian.AppendUint16(nil, port))
	})
	expression("redir", func(m *message) { m.big(redirProtoMin, unix.NFT_REG_1) })
	rule.end()

	begin := newMessage(unix.NFNL_MSG_BATCH_BEGIN, 0, 1, bound)
	end := newMessage(unix.NFNL_MSG_BATCH_END, 0, 5, bound)
	var batch []byte
	for _, m := range []*message{begin, newTable, newChain, rule, end} {
		batch = append(batch, m.bytes()...)
	}
	return talk(unix.NETLINK_NETFILTER, 3, batch)
}

// OriginalDestination returns where a connection was to go that [NS.Redirect] has
// brought here.
func OriginalDestination(c *net.TCPConn) (netip.AddrPort, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var out netip.AddrPort
	var failed error
	err = raw.Control(func(fd uintptr) {
		// The call fills a sockaddr_in, which is as long as the beginning of this.
		req, err := unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, unix.SO_ORIGINAL_DST)
		if err != nil {
			failed = os.NewSyscallError("getsockopt", err)
			return
		}
		a := req.Multiaddr
		out = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), binary.BigEndian.Uint16(a[2:4]))
	})
	return out, errors.Join(err, failed)
}
