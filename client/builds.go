package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// PagesBuild is what became of a commit that was pushed to a site.
type PagesBuild struct {
	ID         string            `json:"id"`
	Project    string            `json:"project"`
	Branch     string            `json:"branch"`
	Commit     string            `json:"commit_hash"`
	Message    string            `json:"commit_message"`
	Status     string            `json:"status"` // queued, running, success, failure, canceled, superseded, skipped
	Reason     string            `json:"reason,omitempty"`
	Stages     []PagesBuildStage `json:"stages"`
	Deployment string            `json:"deployment_id,omitempty"`
	URL        string            `json:"url,omitempty"`
	CreatedOn  time.Time         `json:"created_on"`
	StartedOn  *time.Time        `json:"started_on"`
	EndedOn    *time.Time        `json:"ended_on"`
}

// PagesBuildStage is one step of a build.
type PagesBuildStage struct {
	Name      string     `json:"name"`
	Status    string     `json:"status"`
	StartedOn *time.Time `json:"started_on"`
	EndedOn   *time.Time `json:"ended_on"`
}

// PagesBuildLine is one line of a build's log.
type PagesBuildLine struct {
	Time time.Time `json:"ts"`
	Line string    `json:"line"`
}

// PagesBuilds lists the latest builds of a project, the newest first.
func (c *Client) PagesBuilds(ctx context.Context, project string) ([]PagesBuild, error) {
	return result[[]PagesBuild](ctx, c, http.MethodGet, c.path("selvage", "pages", project, "builds"), nil, nil)
}

// CancelPagesBuild ends a build that is queued or runs, and returns when it is over.
func (c *Client) CancelPagesBuild(ctx context.Context, project, id string) (PagesBuild, error) {
	return result[PagesBuild](ctx, c, http.MethodPost, c.path("selvage", "pages", project, "builds", id, "cancel"), nil, nil)
}

// PagesBuildLog calls yield for each line of a build's log, also for those that come
// while it runs, until yield returns false, the build is over or ctx ends (all
// return nil), or the stream breaks off ([io.ErrUnexpectedEOF]).
func (c *Client) PagesBuildLog(ctx context.Context, project, id string, yield func(PagesBuildLine) bool) error {
	r := request{method: http.MethodGet, path: c.path("selvage", "pages", project, "builds", id, "logs")}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the caller ended it
		}
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		raw := bytes.TrimSpace(lines.Bytes())
		if len(raw) == 0 { // the build is silent
			continue
		}
		var l PagesBuildLine
		if err := json.Unmarshal(raw, &l); err != nil {
			return fmt.Errorf("client: a line of the build's log is no JSON: %w", err)
		}
		if !yield(l) {
			return nil
		}
	}
	switch {
	case ctx.Err() != nil, lines.Err() == nil:
		return nil
	default:
		return fmt.Errorf("client: the log broke off: %w: %w", io.ErrUnexpectedEOF, lines.Err())
	}
}
