package websock

import (
	"bufio"
	"net"
)

// NewConn is the server's end of a WebSocket whose handshake is over.
func NewConn(nc net.Conn) *Conn { return &Conn{nc: nc, br: bufio.NewReader(nc)} }
