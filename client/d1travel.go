package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// D1Restored says what a restore did.
type D1Restored struct {
	Bookmark         string `json:"bookmark"`          // of the state that was restored
	PreviousBookmark string `json:"previous_bookmark"` // of the state before: restoring it undoes the restore
	CurrentBookmark  string `json:"current_bookmark"`  // of the state now
}

// D1Bookmark names the state of a database at a time, with a zero time the one now.
func (c *Client) D1Bookmark(ctx context.Context, id string, at time.Time) (string, error) {
	q := url.Values{}
	if !at.IsZero() {
		q.Set("timestamp", at.UTC().Format(time.RFC3339Nano))
	}
	r, err := result[struct {
		Bookmark string `json:"bookmark"`
	}](ctx, c, http.MethodGet, c.d1Path(id, "time_travel", "bookmark"), q, nil)
	return r.Bookmark, err
}

// RestoreD1 puts a database back to the state of a bookmark.
func (c *Client) RestoreD1(ctx context.Context, id, bookmark string) (D1Restored, error) {
	return result[D1Restored](ctx, c, http.MethodPost, c.d1Path(id, "time_travel", "restore"), url.Values{"bookmark": {bookmark}}, nil)
}
