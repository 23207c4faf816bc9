package server

import (
	"context"
	"fmt"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func (s *Server) openD1(context.Context) error {
	c := s.cfg.Load().D1
	travel := c.TimeTravel
	if travel == 0 {
		travel = -1 // off
	}
	service, err := d1.New(d1.Options{ //nolint:contextcheck // folders of deleted databases are removed to the end
		Store: s.store, Log: s.log, OnLoop: s.queryLoop, TimeTravel: travel,
		MaxDatabases: c.MaxDatabases, MaxQueries: c.MaxQueries, MaxOpen: c.MaxOpen, MaxSize: int64(c.MaxSize),
		Limits: native.Limits{
			SQLBytes: int(c.StatementSize), ValueBytes: int(c.ValueSize), ResultBytes: int64(c.ResultSize), Columns: c.Columns,
			Params: c.Params, PatternBytes: int(c.PatternSize), Duration: c.QueryTime,
		},
	})
	if err != nil {
		return err
	}
	s.d1 = service
	s.onClose("D1 databases", func(context.Context) error { return service.Close() }) //nolint:contextcheck // nor is what was counted given up
	return nil
}

// d1Databases gives the door of the bindings what it needs of the service.
type d1Databases struct{ *d1.Service }

// Open implements [bindings.D1].
func (d d1Databases) Open(ctx context.Context, id string) (bindings.D1Database, error) {
	db, err := d.Service.Open(ctx, id)
	if err != nil {
		return nil, err // a nil *d1.Database must not become a non-nil interface
	}
	return db, nil
}

// queryLoop warns in a worker's log of a request that runs the same statement again
// and again.
func (s *Server) queryLoop(l d1.Loop) {
	s.workerLog(l.Account, l.Script, l.Version, workerd.LogLine{
		Time: l.At, Kind: workerd.Console, Level: telemetry.LevelWarn, Ray: l.Ray,
		Message: fmt.Sprintf("N+1 queries: this request has run the same D1 statement %d times, one after the other. One statement with JOIN or IN (…) reads the same at once. "+
			"\"selvage d1 insights %s\" shows where. The statement: %s", l.Calls, l.Database, l.Statement),
	})
}

// accessLogs is the event log as the edge writes it. What has ended is told to those who wait
// for it.
type accessLogs struct {
	*telemetry.Logs

	d1 *d1.Service
}

// Append implements edge.Logs.
func (l accessLogs) Append(e *telemetry.Event) {
	l.Logs.Append(e)
	if e.Kind == telemetry.KindAccess {
		l.d1.RequestEnded(e.Ray, e.Method, e.Path)
	}
}
