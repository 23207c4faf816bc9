package workers

import (
	"slices"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const typeAI = "ai"

// aiModule is the module of the runtime that makes the object of an AI binding.
const aiModule = "cloudflare-internal:ai-api"

// AISocket is the file name, in the private folder, of the socket by which a process
// reaches models.
const AISocket = "ai.sock"

// offerAI refuses a binding to models where there are none.
func (s *Service) offerAI(name string) error {
	if !s.o.AI {
		return refuseType(name, typeAI)
	}
	return nil
}

// bindsAI says whether a version has a binding to models, under whatever names.
func (d *document) bindsAI() bool {
	return slices.ContainsFunc(d.Bindings, func(b binding) bool { return b.Type == typeAI })
}

// aiBinding is what the process gets of an AI binding.
func aiBinding(name string) workerd.Binding {
	fetcher := workerd.Binding{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: AISocket, TagRay: true}
	return workerd.Binding{Name: name, Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{Module: aiModule, Inner: []workerd.Binding{fetcher}}}
}
