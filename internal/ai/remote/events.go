package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// maxEvent bounds one event of a stream.
const maxEvent = 1 << 20

// events passes on a stream of server-sent events until [DONE].
func (s *Server) events(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, emit func(*chat.Delta) error) error {
	stall := time.AfterFunc(s.o.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), maxEvent)
	finished := false
	for lines.Scan() {
		stall.Reset(s.o.Stall)
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue // a comment, an empty line, or a field that OpenAI's API has not
		}
		data = bytes.TrimSpace(data)
		if bytes.Equal(data, []byte("[DONE]")) {
			return nil
		}
		var event completion
		if err := json.Unmarshal(data, &event); err != nil {
			return s.nonsense(err)
		}
		if len(event.Error) > 0 {
			return fault.New(fault.CodeUpstream, "The server %q failed%s", s.o.Name, message(data))
		}
		d := event.delta(false)
		finished = finished || d.Finish != ""
		if err := emit(d); err != nil {
			return err
		}
	}
	err := lines.Err()
	if err == nil && ctx.Err() == nil {
		if finished {
			return nil // some servers leave out [DONE]
		}
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return s.nonsense(err)
	}
	return s.brokenOff(ctx, err)
}
