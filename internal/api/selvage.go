package api

import (
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

// Build describes the release that runs.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Workerd string `json:"workerd,omitempty"`
	Go      string `json:"go,omitempty"`
}

// Name is "selvage" and the version.
func (b Build) Name() string {
	if b.Version == "" {
		return "selvage"
	}
	return "selvage " + b.Version
}

func getBuild(c *call) (any, error) { return c.Version, nil }

// Platform is what the status shows of the platform itself.
type Platform struct {
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	EdgeURL   string    `json:"edge_url,omitempty"`
	APIURL    string    `json:"api_url,omitempty"`
	Domain    string    `json:"domain,omitempty"`
	// RSS is the resident memory of the platform's own process in bytes.
	RSS int64 `json:"rss_bytes"`
	// Requests counts what the edge answered since it started.
	Requests uint64 `json:"requests_total"`
	// RequestsPerSecond is the edge's rate over the last seconds.
	RequestsPerSecond float64 `json:"requests_per_second"`
	// Isolation is what keeps workers apart.
	Isolation []Layer `json:"isolation,omitempty"`
	// Containers is what runs containers, and which of their limits hold.
	Containers []Layer `json:"containers,omitempty"`
}

// Layer is one thing that keeps a worker's process in, and whether it does.
type Layer struct {
	Name   string `json:"name"`
	Holds  bool   `json:"holds"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

type statusJSON struct {
	Version  Build          `json:"version"`
	Platform Platform       `json:"platform"`
	Scripts  int            `json:"scripts"`
	Workers  []instanceJSON `json:"workers"`
}

type instanceJSON struct {
	Script    string  `json:"script"`
	Version   string  `json:"version"`
	PID       int     `json:"pid"`
	RSS       int64   `json:"rss_bytes"`
	CPU       float64 `json:"cpu_seconds"`
	InFlight  int64   `json:"in_flight"`
	Requests  int64   `json:"requests_total"`
	StartedAt stamp   `json:"started_at"`
	Draining  bool    `json:"draining,omitempty"`
}

func getStatus(c *call) (any, error) {
	scripts, err := c.Workers.Scripts(c.ctx(), c.account())
	if err != nil {
		return nil, err
	}
	out := statusJSON{Version: c.Version, Platform: c.Status(c.ctx()), Scripts: len(scripts), Workers: []instanceJSON{}}
	for _, i := range c.Workers.Instances() {
		out.Workers = append(out.Workers, instanceJSON{
			Script: i.Script, Version: i.Version, PID: i.PID, RSS: i.RSS, CPU: i.CPU.Seconds(),
			InFlight: i.InFlight, Requests: i.Requests, StartedAt: stamp(i.StartedAt), Draining: i.Draining,
		})
	}
	return out, nil
}

func getEgress(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return workers.EgressPolicy{Allow: list(s.Settings.Egress.Allow)}, nil
}

func putEgress(c *call) (any, error) {
	var in workers.EgressPolicy
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.Workers.SetEgress(c.ctx(), c.account(), c.script(), in); err != nil {
		return nil, err
	}
	return workers.EgressPolicy{Allow: list(in.Allow)}, nil
}
