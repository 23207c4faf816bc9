package api

import (
	"io"
	"net/http"
)

func plain(status int, text string) stream {
	return func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, err := io.WriteString(w, text+"\n")
		return err
	}
}

// getHealth says that the process answers.
func getHealth(*call) (any, error) { return plain(http.StatusOK, "ok"), nil }

// getReady says whether the platform can serve, and if not, why not.
func getReady(c *call) (any, error) {
	if err := c.Ready(c.ctx()); err != nil {
		return plain(http.StatusServiceUnavailable, err.Error()), nil
	}
	return plain(http.StatusOK, "ready"), nil
}

func getMetrics(c *call) (any, error) {
	return stream(func(w http.ResponseWriter) error {
		c.prom.ServeHTTP(w, c.r)
		return nil
	}), nil
}
