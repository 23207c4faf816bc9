package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger returns what the ACME client logs with. It is chatty: what it calls information is for debugging here,
// and what it calls an error is reported once more, by whoever ordered, with its host.
func newLogger(log *slog.Logger) *zap.Logger { return zap.New(&logCore{log: log}) }

type logCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

func logLevel(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.LevelEnabler.
func (c *logCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), logLevel(l))
}

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log, fields: append(append([]zapcore.Field(nil), c.fields...), fields...)}
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, list := range [][]zapcore.Field{c.fields, fields} {
		for i := range list {
			list[i].AddTo(enc)
		}
	}
	attrs := []slog.Attr{slog.String("acme", e.Message)}
	for k, v := range enc.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	c.log.LogAttrs(context.Background(), logLevel(e.Level), "certificates", attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (*logCore) Sync() error { return nil }
