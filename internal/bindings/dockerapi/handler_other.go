//go:build !linux

package dockerapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/selvage-dev/selvage/internal/instances"
)

// Handler refuses everything: containers need Linux.
type Handler struct{}

// New returns a handler.
func New(*instances.Owner, Outbound, *slog.Logger) *Handler { return &Handler{} }

// ServeHTTP implements http.Handler.
func (*Handler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, `{"message":"containers need Linux"}`, http.StatusNotImplemented)
}

// Close does nothing.
func (*Handler) Close() {}

// ConnContext returns the context as it is.
func ConnContext(ctx context.Context, _ net.Conn) context.Context { return ctx }
