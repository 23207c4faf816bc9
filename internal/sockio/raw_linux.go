package sockio

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const supported = true

// maxSendFile is how much one sendfile(2) is asked to send: little enough that
// progress is seen.
const maxSendFile = 4 << 20

func (c *Conn) sendFile(head []byte, f *os.File, offset, n int64, progress func()) error {
	in, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	cerr := in.Control(func(from uintptr) {
		failed = c.raw.Write(func(to uintptr) bool {
			if head, err = corked(to, head); err != nil || len(head) > 0 {
				return err != nil && err != unix.EAGAIN //nolint:errorlint // an errno
			}
			for n > 0 {
				// Not raw: it may have to read from the disk.
				var sent int
				sent, err = unix.Sendfile(int(to), int(from), &offset, int(min(n, maxSendFile)))
				switch {
				case err == unix.EINTR: //nolint:errorlint // an errno
					continue
				case err != nil:
					return err != unix.EAGAIN //nolint:errorlint // an errno
				case sent == 0: // the file is shorter than it was
					err = io.ErrUnexpectedEOF
					return true
				}
				n -= int64(sent)
				progress()
			}
			err = nil
			return true
		})
	})
	switch {
	case cerr != nil:
		return cerr
	case failed != nil:
		return failed
	}
	return err
}

// corked sends head and tells the kernel that more follows at once, so that both
// travel together. It returns what is left of it.
func corked(fd uintptr, head []byte) ([]byte, error) {
	for len(head) > 0 {
		n, err := unix.SendmsgN(int(fd), head, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return head, err
		}
		head = head[n:]
	}
	return nil, nil
}
