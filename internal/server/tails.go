package server

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// newTails makes the hub of those who watch; the workers service comes after it.
func (s *Server) newTails() *tail.Hub {
	return tail.New(tail.Options{
		Watch: func(script tail.Script, open bool) { s.workers.Watch(script, open) },
		Deliver: func(consumer tail.Script, items json.RawMessage, from []tail.ConsumedEvent) {
			s.workers.DeliverTail(consumer, items, from)
		},
		Log: s.log,
	})
}

// tailLine passes a line that a worker's process wrote to those who watch it.
func (s *Server) tailLine(account, script, version string, line *workerd.LogLine) {
	if !s.tails.Active() || line.Kind == workerd.Runtime {
		return
	}
	if line.Kind == workerd.Began {
		s.tails.Began(account, script, version, line.Invocation, line.Entrypoint, line.Event)
		return
	}
	s.tails.Line(account, script, version, line.Invocation, &tail.Line{
		Time: line.Time, Level: line.Level, Text: line.Message, Args: line.Args,
		Exception: line.Kind == workerd.Exception, Name: line.ErrorName, Message: line.ErrorMessage, Stack: line.Stack,
		Finished: line.Kind == workerd.Finished, Status: line.Status,
	})
}
