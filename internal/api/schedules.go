package api

import (
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

// Schedules are the cron triggers of scripts, and their tail workers.
type Schedules interface {
	Schedules(ctx context.Context, account, script string) ([]workers.Schedule, error)
	PutSchedules(ctx context.Context, account, script string, crons []string) ([]workers.Schedule, error)
	TailProducers(ctx context.Context, account, script string) ([]string, error)
	TriggerScheduled(ctx context.Context, account, script, cron string, at time.Time) (workers.Run, error)
}

type schedulesJSON struct {
	Schedules []scheduleJSON `json:"schedules"`
}

type scheduleJSON struct {
	Cron       string `json:"cron"`
	CreatedOn  stamp  `json:"created_on"`
	ModifiedOn stamp  `json:"modified_on"`
	LastRun    *stamp `json:"last_run,omitempty"`
}

func newSchedulesJSON(all []workers.Schedule) schedulesJSON {
	out := schedulesJSON{Schedules: make([]scheduleJSON, len(all))}
	for i, s := range all {
		out.Schedules[i] = scheduleJSON{Cron: s.Cron, CreatedOn: stamp(s.CreatedAt), ModifiedOn: stamp(s.CreatedAt)}
		if !s.LastRun.IsZero() {
			last := stamp(s.LastRun)
			out.Schedules[i].LastRun = &last
		}
	}
	return out
}

func getSchedules(c *call) (any, error) {
	all, err := c.Workers.Schedules(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return newSchedulesJSON(all), nil
}

// putSchedules replaces the whole set.
func putSchedules(c *call) (any, error) {
	var in []struct {
		Cron string `json:"cron"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	crons := make([]string, len(in))
	for i := range in {
		crons[i] = in[i].Cron
	}
	all, err := c.Workers.PutSchedules(c.ctx(), c.account(), c.script(), crons)
	if err != nil {
		return nil, err
	}
	return newSchedulesJSON(all), nil
}

type runJSON struct {
	Cron          string  `json:"cron"`
	ScheduledTime stamp   `json:"scheduled_time"`
	Version       string  `json:"version,omitempty"`
	Ray           string  `json:"ray"`
	Outcome       string  `json:"outcome"`
	Error         string  `json:"error,omitempty"`
	WallMS        float64 `json:"wall_time_ms"`
	NoRetry       bool    `json:"no_retry"`
}

// postScheduled runs a scheduled handler now. That the handler fails is a result, not an error.
func postScheduled(c *call) (any, error) {
	var in struct {
		Cron          string    `json:"cron"`
		ScheduledTime time.Time `json:"scheduled_time"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	r, err := c.Workers.TriggerScheduled(c.ctx(), c.account(), c.script(), in.Cron, in.ScheduledTime)
	if err != nil {
		return nil, err
	}
	return runJSON{
		Cron: r.Cron, ScheduledTime: stamp(r.Scheduled), Version: r.Version, Ray: r.Ray, Outcome: r.Outcome,
		Error: r.Error, WallMS: float64(r.Took.Microseconds()) / 1000, NoRetry: r.NoRetry,
	}, nil
}
