package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Formats of the process logger.
const (
	FormatAuto = "auto" // text on a terminal, JSON otherwise
	FormatText = "text"
	FormatJSON = "json"
)

// LoggerOptions configure NewLogger. The zero value is info level, FormatAuto.
type LoggerOptions struct {
	Level  slog.Leveler // a *slog.LevelVar allows changing it while running
	Format string       // FormatAuto when empty
}

// NewLogger returns the process logger, writing to w.
func NewLogger(w io.Writer, o LoggerOptions) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.Level}
	if o.Format == FormatJSON || (o.Format != FormatText && !IsTerminal(w)) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Handler returns a slog handler that passes records on to next and keeps those
// next is enabled for as platform events. The attributes "ray", "account",
// "script" and "version" become the event's fields, the others end its message.
func (l *Logs) Handler(next slog.Handler) slog.Handler {
	return &eventHandler{logs: l, next: next}
}

type eventHandler struct {
	logs   *Logs
	next   slog.Handler
	attrs  []slog.Attr // from WithAttrs, keys already prefixed
	prefix string      // from WithGroup, ends with a dot
}

func (h *eventHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *eventHandler) Handle(ctx context.Context, r slog.Record) error {
	e := Event{Time: r.Time, Kind: KindPlatform, Level: levelName(r.Level)}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	var text strings.Builder
	text.WriteString(r.Message)
	for _, a := range h.attrs {
		addAttr(&e, &text, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		addAttr(&e, &text, h.prefix, a)
		return true
	})
	e.Message = text.String()
	h.logs.Append(&e)
	return h.next.Handle(ctx, r)
}

func (h *eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.next = h.next.WithAttrs(attrs)
	c.attrs = make([]slog.Attr, 0, len(h.attrs)+len(attrs))
	c.attrs = append(c.attrs, h.attrs...)
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
	}
	return &c
}

func (h *eventHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.next = h.next.WithGroup(name)
	c.prefix = h.prefix + name + "."
	return &c
}

// addAttr puts one attribute into e or at the end of its message.
func addAttr(e *Event, text *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			addAttr(e, text, prefix, member)
		}
		return
	}
	if a.Key == "" {
		return
	}
	switch prefix + a.Key {
	case "ray":
		e.Ray = v.String()
	case "account":
		e.Account = v.String()
	case "script":
		e.Script = v.String()
	case "version":
		e.Version = v.String()
	default:
		text.WriteByte(' ')
		text.WriteString(prefix)
		text.WriteString(a.Key)
		text.WriteByte('=')
		text.WriteString(v.String())
	}
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return LevelDebug
	case l < slog.LevelWarn:
		return LevelInfo
	case l < slog.LevelError:
		return LevelWarn
	default:
		return LevelError
	}
}
