package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/ai"
)

func (s *Server) openAI(context.Context) error {
	service, err := ai.New(ai.Options{Store: s.store, Log: s.log, Now: s.o.Now})
	if err != nil {
		return err
	}
	s.ai = service
	s.onClose("models", func(context.Context) error { return service.Close() })
	return nil
}
