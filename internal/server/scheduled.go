package server

import (
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers"
)

// scheduledRun keeps the outcome of a run of a scheduled handler.
func (s *Server) scheduledRun(r workers.Run) {
	level, text := telemetry.LevelInfo, strconv.Quote(r.Cron)+" of "+r.Scheduled.Format(time.RFC3339)+": "+r.Outcome
	if r.Outcome != telemetry.OutcomeOK {
		level = telemetry.LevelError
		if r.Error != "" {
			text += ": " + r.Error
		}
	}
	s.logs.Append(&telemetry.Event{
		Time: r.Started, Kind: telemetry.KindScheduled, Level: level, Ray: r.Ray,
		Account: r.Account, Script: r.Script, Version: r.Version,
		Message: text, DurationUS: r.Took.Microseconds(), Outcome: r.Outcome,
	})
}
