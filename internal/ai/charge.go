package ai

import (
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
)

// DollarsPerNeuron is what the original platform takes, as published in February 2025.
const DollarsPerNeuron = 0.011 / 1000

// Price is what a token of the model costs. Assumed says that none was published, and that
// it is that of a usual model of its kind: a budget has to count something.
func (m *Model) Price() (p ledger.Price, assumed bool) {
	if m.NeuronsIn > 0 {
		return ledger.Price{In: m.NeuronsIn, Out: m.NeuronsOut}, false
	}
	switch m.Kind {
	case catalogue.Generation:
		return ledger.Price{In: 25_608, Out: 75_147}, true // of llama-3.1-8b-instruct
	case catalogue.Embeddings, catalogue.EmbeddingsM3:
		return ledger.Price{In: 6_058}, true // of bge-base-en-v1.5
	case catalogue.Reranking, catalogue.Classification:
	}
	return ledger.Price{In: 2_394}, true // of distilbert-sst-2-int8
}

// begin reserves what a run may use at most.
func (s *Service) begin(caller *Caller, m *Model, inputBytes, in, out int) (*ledger.Job, error) {
	price, _ := m.Price()
	return s.ledger.Begin(ledger.Request{
		Account: caller.Account, Subject: caller.subject(), Model: m.Name, Price: price, InputBytes: int64(inputBytes), In: int64(in), Out: int64(out),
	})
}

// bytesPerToken is about what English text has.
const bytesPerToken = 4

// inputSize is how much text a request has, in bytes.
func inputSize(r *chat.Request) int {
	n := len(r.Prompt) + len(r.Format.Schema)
	for i := range r.Messages {
		m := &r.Messages[i]
		n += len(m.Content) + len(m.Role)
		for _, c := range m.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	return n
}

// estimate guesses the tokens of a text, or of several that are apart.
func estimate(size, apart int) int { return size/bytesPerToken + apart }

func textSize(texts []string) (size int) {
	for _, t := range texts {
		size += len(t)
	}
	return size
}

// UsageRow is what one subject used of one model on one day.
type UsageRow struct {
	ledger.Row

	// Assumed says that the neurons are a guess: no price of the model was published.
	Assumed bool
}

// Usage returns what was used from a day to another, both included.
func (s *Service) Usage(ctx context.Context, account string, from, to time.Time) ([]UsageRow, error) {
	rows, err := s.ledger.Report(ctx, account, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]UsageRow, len(rows))
	for i := range rows {
		out[i].Row = rows[i]
		if m, ok := s.catalogue.Find(rows[i].Model); !ok || m.NeuronsIn == 0 {
			out[i].Assumed = true
		}
	}
	return out, nil
}

// Limits lists the limits that are set, and what was used of them.
func (s *Service) Limits(account string) []ledger.Limited { return s.ledger.Limits(account) }

// SetLimits sets the limits of a subject, see [ledger.Ledger.SetLimits].
func (s *Service) SetLimits(ctx context.Context, account, subject string, l *ledger.Limits) error {
	return s.ledger.SetLimits(ctx, account, subject, l)
}
