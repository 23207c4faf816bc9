package client

import (
	"context"
	"net/http"
	"time"
)

// Schedule is one cron trigger of a worker.
type Schedule struct {
	Cron      string     `json:"cron"`
	CreatedOn time.Time  `json:"created_on,omitzero"`
	LastRun   *time.Time `json:"last_run,omitempty"`
}

type schedules struct {
	Schedules []Schedule `json:"schedules"`
}

// Schedules returns the cron triggers of a worker.
func (c *Client) Schedules(ctx context.Context, script string) ([]Schedule, error) {
	out, err := result[schedules](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "schedules"), nil, nil)
	return out.Schedules, err
}

// SetSchedules replaces the cron triggers of a worker.
func (c *Client) SetSchedules(ctx context.Context, script string, crons []string) ([]Schedule, error) {
	in := make([]map[string]string, len(crons))
	for i, text := range crons {
		in[i] = map[string]string{"cron": text}
	}
	out, err := result[schedules](ctx, c, http.MethodPut, c.path("workers", "scripts", script, "schedules"), nil, in)
	return out.Schedules, err
}

// ScheduledRun is one run of a worker's scheduled handler.
type ScheduledRun struct {
	Cron          string    `json:"cron"`
	ScheduledTime time.Time `json:"scheduled_time"`
	Version       string    `json:"version,omitempty"`
	Ray           string    `json:"ray"` // of its log lines
	Outcome       string    `json:"outcome"`
	Error         string    `json:"error,omitempty"`
	WallMS        float64   `json:"wall_time_ms"`
	NoRetry       bool      `json:"no_retry"`
}

// TriggerScheduled runs a worker's scheduled handler now and returns when it has
// ended, however it ended. An empty cron means the worker's first trigger, a zero
// time the current minute.
func (c *Client) TriggerScheduled(ctx context.Context, script, cron string, at time.Time) (ScheduledRun, error) {
	in := struct {
		Cron          string    `json:"cron,omitempty"`
		ScheduledTime time.Time `json:"scheduled_time,omitzero"`
	}{cron, at}
	return result[ScheduledRun](ctx, c, http.MethodPost, c.path("selvage", "workers", script, "scheduled"), nil, in)
}
