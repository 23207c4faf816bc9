package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// watchEvery is how often "status --watch" looks.
const watchEvery = 2 * time.Second

func (a *app) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs: versions, processes, memory, requests",
		Example: `  selvage status
  selvage status --watch
  selvage status --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !watch {
				return a.showStatus(cmd.Context())
			}
			tick := time.NewTicker(watchEvery)
			defer tick.Stop()
			for {
				if !a.json && telemetry.IsTerminal(a.Stdout) {
					a.printf("\x1b[H\x1b[2J")
				}
				if err := a.showStatus(cmd.Context()); err != nil {
					if cmd.Context().Err() != nil {
						return nil
					}
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-tick.C:
				}
			}
		},
	}
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one line each time")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every two seconds")
	return cmd
}

func (a *app) showStatus(ctx context.Context) error {
	c, err := a.connect()
	if errors.Is(err, errNotRunning) && a.json {
		if err := a.printJSON(map[string]bool{"running": false}); err != nil {
			return err
		}
		return errReported
	}
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Running bool `json:"running"`
			client.Status
		}{true, s})
	}
	p := s.Platform
	a.printf("selvage %s, process %d, up %s, %s resident\n", s.Version.Version, p.PID, age(p.StartedAt), size(p.RSSBytes))
	a.printf("edge %s   API %s   domain %s\n", p.EdgeURL, p.APIURL, p.Domain)
	a.printf("%d requests, %.1f/s   %s deployed, %s running\n", p.RequestsTotal, p.RequestsPerSecond,
		count(s.Scripts, "worker"), count(len(s.Workers), "process"))
	a.printf("%s\n", isolationLine(p.Isolation))
	a.printf("%s\n", containersLine(p.Containers))
	a.printf("limits: processor time and memory of workers are watched by the platform, ten times a second; no cgroup is used\n")
	if len(s.Workers) == 0 {
		a.printf("\nNothing runs: a worker's process starts with its first request.\n")
		return nil
	}
	a.printf("\n")
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKER\tVERSION\tPID\tMEMORY\tCPU\tIN FLIGHT\tREQUESTS\tUP\t") //nolint:errcheck // Flush tells
	for _, i := range s.Workers {
		note := ""
		if i.Draining {
			note = "draining"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%.1fs\t%d\t%d\t%s\t%s\n", //nolint:errcheck // Flush tells
			i.Script, short(i.Version), i.PID, size(i.RSSBytes), i.CPUSeconds, i.InFlight, i.RequestsTotal, age(i.StartedAt), note)
	}
	return w.Flush()
}

// isolationLine says in one line what keeps workers apart.
func isolationLine(layers []client.Layer) string {
	var holds, missing []string
	for _, l := range layers {
		if l.Holds {
			holds = append(holds, l.Name)
		} else {
			missing = append(missing, l.Name)
		}
	}
	line := "isolation: " + strings.Join(holds, ", ")
	if len(holds) == 0 {
		line = "isolation: none"
	}
	if len(missing) > 0 {
		line += "   MISSING: " + strings.Join(missing, ", ") + " (selvage doctor)"
	}
	return line
}

// containersLine says in one line what runs containers, and which of their limits do
// not hold.
func containersLine(layers []client.Layer) string {
	var holds, missing []string
	for _, l := range layers {
		switch {
		case l.Name == "none":
			return "containers: none (selvage doctor)"
		case l.Holds:
			holds = append(holds, l.Name)
		default:
			missing = append(missing, l.Name)
		}
	}
	if len(holds) == 0 {
		return "containers: none (selvage doctor)"
	}
	line := "containers: run by " + holds[0] + "; enforced limits: " + strings.Join(holds[1:], ", ")
	if len(missing) > 0 {
		line += "   NOT ENFORCED: " + strings.Join(missing, ", ")
	}
	return line
}

// short is the beginning of a version's id, as preview hostnames have it.
func short(id string) string {
	if head, _, ok := strings.Cut(id, "-"); ok {
		return head
	}
	return id
}

func age(since time.Time) string {
	if since.IsZero() {
		return "-"
	}
	d := time.Since(since)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func size(bytes int64) string {
	const mib = 1 << 20
	if bytes < 10*mib {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	}
	return fmt.Sprintf("%d MiB", bytes/mib)
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
