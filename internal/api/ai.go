package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/ai/wire"
)

// AI is what the door needs of the service that runs models.
type AI interface {
	Run(ctx context.Context, caller *ai.Caller, model string, inputs []byte) (*ai.Answer, error)
	Models(f ai.Filter) []ai.Model
	Chat(ctx context.Context, caller *ai.Caller, model string, r *chat.Request, stream bool) (*ai.Answer, error)
	Embed(ctx context.Context, caller *ai.Caller, model string, texts []string) (*ai.Embedded, error)
	Schemas(model string) (*catalogue.Schemas, error)
	Model(name string) (ai.Model, error)
	ModelStore
	AILedger
}

// ModelStore keeps the files of models.
type ModelStore interface {
	Stored() []*modelstore.Model
	Disk() (used, quota int64)
	Remove(ctx context.Context, name string) error
	Plan(ctx context.Context, o *ai.PullOptions) (*modelstore.Plan, error)
	Pull(ctx context.Context, o *ai.PullOptions, tell modelstore.Progress) (*modelstore.Model, error)
	Import(ctx context.Context, r io.Reader, name string, kind catalogue.Kind) (*modelstore.Model, error)
	Bundle(ctx context.Context, name string, w io.Writer) error
}

const aiPath = accountPath + "/ai"

func aiRoutes() []route {
	const read, write = accounts.ScopeAIRead, accounts.ScopeAIWrite
	table := []route{
		{Method: http.MethodGet, Pattern: aiPath + "/models/search", Scope: read, Handler: searchModels},
		{Method: http.MethodGet, Pattern: aiPath + "/models/schema", Scope: read, Handler: modelSchema},
		{Method: http.MethodGet, Pattern: aiPath + "/tasks/search", Scope: read, Handler: searchTasks},
		{Method: http.MethodGet, Pattern: aiPath + "/authors/search", Scope: read, Handler: searchAuthors},
		{Method: http.MethodGet, Pattern: aiPath + "/finetunes", Scope: read, Handler: listFinetunes},
		{Method: http.MethodPost, Pattern: aiPath + "/finetunes", Scope: write, MaxBody: smallBody, Handler: createFinetune},
	}
	// The names of models have slashes in them: @cf/author/model, or @selvage/model.
	for _, name := range []string{"/{m1}", "/{m1}/{m2}", "/{m1}/{m2}/{m3}"} {
		table = append(table, route{Method: http.MethodPost, Pattern: aiPath + "/run" + name, Scope: write, MaxBody: ai.MaxInput, Handler: runModel})
	}
	return table
}

func searchModels(c *call) (any, error) {
	q := c.query()
	all := c.AI.Models(ai.Filter{Search: q.Get("search"), Author: q.Get("author"), Task: q.Get("task")})
	return page(q, wire.Models(all))
}

func modelSchema(c *call) (any, error) {
	return c.AI.Schemas(c.query().Get("model"))
}

func searchTasks(c *call) (any, error) {
	seen := map[string]bool{}
	var tasks []wire.Task
	for _, m := range c.AI.Models(ai.Filter{}) {
		task := m.Kind.Task()
		if !seen[task.ID] {
			seen[task.ID] = true
			tasks = append(tasks, wire.Task(task))
		}
	}
	return page(c.query(), tasks)
}

func searchAuthors(c *call) (any, error) {
	type author struct {
		Name string `json:"name"`
	}
	seen := map[string]bool{}
	var authors []author
	for _, m := range c.AI.Models(ai.Filter{}) {
		if name := m.Author(); name != "" && !seen[name] {
			seen[name] = true
			authors = append(authors, author{name})
		}
	}
	return page(c.query(), authors)
}

// listFinetunes says that there are none.
func listFinetunes(*call) (any, error) { return []struct{}{}, nil }

func createFinetune(*call) (any, error) { return nil, notOffered("LoRA adapters (finetunes)") }

// modelName puts the model's name together that the path has in parts.
func (c *call) modelName() string {
	var parts []string
	for _, part := range []string{"m1", "m2", "m3"} {
		if p, ok := c.params[part]; ok {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// aiCaller is who calls a model here.
func (c *call) aiCaller() *ai.Caller {
	return &ai.Caller{Account: c.account(), Token: c.token.ID, Ray: c.ray}
}

func runModel(c *call) (any, error) {
	inputs, err := io.ReadAll(c.r.Body)
	if err != nil {
		return nil, err
	}
	if len(inputs) == 0 {
		return nil, ai.Incomplete("inputs")
	}
	answer, err := c.AI.Run(c.ctx(), c.aiCaller(), c.modelName(), inputs)
	if err != nil {
		return nil, c.aiFailed(err)
	}
	c.w.Header().Set("Cf-Ai-Req-Id", answer.ID)
	if answer.Stream != nil {
		return c.aiStream(answer.Stream, &wire.NativeStream{}), nil
	}
	out, err := wire.Native(answer)
	return json.RawMessage(out), err
}

// aiFailed tells a caller that was refused for a while when to come again.
func (c *call) aiFailed(err error) error {
	if seconds := wire.RetryAfterOf(err); seconds > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	return err
}

// aiFault is what an API client sees of a model's error.
func aiFault(e *ai.Error) fault {
	return newFault(e.Code, e.Status(), "AiError: "+e.Message)
}
