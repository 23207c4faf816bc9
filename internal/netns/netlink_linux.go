package netns

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// message builds one netlink message (netlink(7)): a header, a fixed part, and
// attributes in it. Numbers of netlink are in the machine's order, those of nftables
// in the network's.
type message struct {
	buf  []byte
	open []int // where attributes begin that hold others
}

const (
	headerLen = unix.SizeofNlMsghdr
	attrLen   = unix.SizeofNlAttr
	align     = unix.NLA_ALIGNTO
)

func newMessage(kind, flags uint16, seq uint32, fixed []byte) *message {
	m := &message{buf: make([]byte, headerLen, 256)}
	binary.NativeEndian.PutUint16(m.buf[4:], kind)
	binary.NativeEndian.PutUint16(m.buf[6:], flags|unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(m.buf[8:], seq)
	m.buf = append(m.buf, fixed...)
	return m
}

// attr adds an attribute.
func (m *message) attr(kind uint16, value []byte) *message {
	m.buf = binary.NativeEndian.AppendUint16(m.buf, uint16(attrLen+len(value))) //nolint:gosec // a few bytes
	m.buf = binary.NativeEndian.AppendUint16(m.buf, kind)
	m.buf = append(m.buf, value...)
	m.pad()
	return m
}

func (m *message) text(kind uint16, value string) *message {
	return m.attr(kind, append([]byte(value), 0))
}

// big adds a number in the network's order.
func (m *message) big(kind uint16, value uint32) *message {
	return m.attr(kind, binary.BigEndian.AppendUint32(nil, value))
}

// begin starts an attribute that holds those that follow, until end.
func (m *message) begin(kind uint16) *message {
	m.open = append(m.open, len(m.buf))
	m.buf = binary.NativeEndian.AppendUint16(m.buf, 0)
	m.buf = binary.NativeEndian.AppendUint16(m.buf, kind|unix.NLA_F_NESTED)
	return m
}

func (m *message) end() *message {
	last := len(m.open) - 1
	at := m.open[last]
	m.open = m.open[:last]
	binary.NativeEndian.PutUint16(m.buf[at:], uint16(len(m.buf)-at)) //nolint:gosec // a few hundred bytes
	return m
}

func (m *message) pad() {
	for len(m.buf)%align != 0 {
		m.buf = append(m.buf, 0)
	}
}

func (m *message) bytes() []byte {
	binary.NativeEndian.PutUint32(m.buf, uint32(len(m.buf))) //nolint:gosec // a few hundred bytes
	return m.buf
}

const netlinkTimeout = 5 * time.Second

// talk sends messages of one family to the kernel, in the namespace of the thread,
// and waits until it has acknowledged as many as want an answer.
func talk(family, acks int, batch []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	wait := unix.NsecToTimeval(netlinkTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, os.Getpagesize())
	for acks > 0 {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		for in := buf[:n]; len(in) >= headerLen; {
			length := int(binary.NativeEndian.Uint32(in))
			if length < headerLen || length > len(in) {
				return fmt.Errorf("netlink: an answer of %d bytes says that it has %d", len(in), length)
			}
			if binary.NativeEndian.Uint16(in[4:]) == unix.NLMSG_ERROR && length >= headerLen+4 {
				if code := int32(binary.NativeEndian.Uint32(in[headerLen:])); code != 0 { //nolint:gosec // a negative errno
					return os.NewSyscallError("netlink", unix.Errno(-code)) //nolint:gosec // as above
				}
				acks--
			}
			in = in[min((length+align-1)&^(align-1), len(in)):]
		}
	}
	return nil
}
