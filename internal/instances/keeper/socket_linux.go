package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// socketBuffer leaves room for a message of the greatest size.
const socketBuffer = 1 << 20

// socketPair returns the two ends of a socket that keeps messages apart.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	theirs = os.NewFile(uintptr(fds[1]), "keeper")
	ours, err = asConn(os.NewFile(uintptr(fds[0]), "keeper"))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// asConn takes the file over.
func asConn(f *os.File) (*net.UnixConn, error) {
	defer func() { _ = f.Close() }() // the connection is a duplicate
	for _, option := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
		if err := unix.SetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, option, socketBuffer); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a unix socket became %T", c), c.Close())
	}
	return conn, nil
}

// writeMessage sends a message with open files.
func writeMessage(c *net.UnixConn, body []byte, files []*os.File) error {
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(body, rights, nil)
	return err
}

// maxFiles is how many open files come with one message.
const maxFiles = 3

// readMessage receives one; the caller closes the files.
func readMessage(c *net.UnixConn, buf []byte) (n int, files []*os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, m, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil || m == 0 {
		return n, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil {
		return 0, nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return 0, nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return n, files, nil
}
