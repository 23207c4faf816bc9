package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/selvage-dev/selvage/internal/api/form"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Bounds of an upload form that no option changes.
const (
	maxMetadata   = 1 << 20
	maxModuleName = 512
)

// moduleSink puts the modules of a form where the workers service keeps them.
type moduleSink struct{ w Workers }

// Put implements [form.Sink]. The form's reader fails by itself at the limit.
func (s moduleSink) Put(ctx context.Context, r io.Reader, _ int64) (string, int64, error) {
	return s.w.PutModule(ctx, r)
}

// readUpload reads the form of a script upload. Nothing of it is held in memory but the metadata.
func (c *call) readUpload() (*workers.Upload, error) {
	strict, err := inheritParam(c)
	if err != nil {
		return nil, err
	}
	f, err := form.Parse(c.ctx(), c.r.Header.Get("Content-Type"), c.r.Body, moduleSink{c.Workers}, form.Limits{
		Metadata: maxMetadata, Total: c.MaxScriptSize, SourceMaps: c.MaxSourceMaps,
		Parts: c.MaxModules + 1, Name: maxModuleName,
	})
	if err != nil {
		return nil, uploadError(err)
	}
	u, err := workers.DecodeMetadata(f.Metadata)
	if err != nil {
		return nil, err
	}
	for _, p := range f.Parts {
		u.Modules = append(u.Modules, workers.UploadModule{Name: p.Name, ContentType: p.MediaType, Blob: p.ID, Size: p.Size})
	}
	u.InheritStrict = strict
	u.Origin = c.origin()
	return u, nil
}

// inheritParam reads bindings_inherit.
func inheritParam(c *call) (strict bool, err error) {
	switch v := c.query().Get("bindings_inherit"); v {
	case "":
		return false, nil
	case "strict":
		return true, nil
	default:
		return false, errf(codeBadRequest, "query parameter bindings_inherit is %q; it may only be \"strict\"", v)
	}
}

// uploadError gives an error of the form parser its code: 10027 is the one by which wrangler knows
// that a script is too large.
func uploadError(err error) error {
	var bad *form.Error
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &body):
		return &apiError{Code: codeScriptTooLarge, Message: "the upload is larger than this platform takes", Err: err}
	case !errors.As(err, &bad):
		return err
	case errors.Is(err, form.ErrTooLarge):
		return &apiError{Code: codeScriptTooLarge, Message: bad.Message, Err: bad.Err}
	default:
		return &apiError{Code: codeInvalidScript, Message: bad.Message, Err: bad.Err}
	}
}

// putJSON is the answer to an upload that also deploys.
type putJSON struct {
	scriptJSON
	// DeploymentID is the version's id: wrangler prints it as the current version and asks for it.
	DeploymentID  string `json:"deployment_id"`
	StartupTimeMS *int64 `json:"startup_time_ms,omitempty"`
	// ExportsReconciliation is what wrangler prints of declared exports.
	ExportsReconciliation json.RawMessage `json:"exports_reconciliation,omitempty"`
}

func putScript(c *call) (any, error) {
	u, err := c.readUpload()
	if err != nil {
		return nil, err
	}
	d, err := c.Workers.PutScript(c.ctx(), c.account(), c.script(), u)
	if err != nil {
		return nil, err
	}
	return putJSON{scriptJSON: newScriptJSON(d.Script), DeploymentID: d.Version.ID, StartupTimeMS: startupMS(&d.Version), ExportsReconciliation: exportsReportJSON(d.Exports)}, nil
}

// startupMS rounds up, so that a script that has code never shows 0, which reads as "not measured".
func startupMS(v *workers.Version) *int64 {
	if !v.HasCode || v.StartupTime <= 0 {
		return nil
	}
	ms := int64(math.Ceil(float64(v.StartupTime) / float64(time.Millisecond)))
	return &ms
}

func createVersion(c *call) (any, error) {
	u, err := c.readUpload()
	if err != nil {
		return nil, err
	}
	v, err := c.Workers.CreateVersion(c.ctx(), c.account(), c.script(), u)
	if err != nil {
		return nil, err
	}
	return c.showVersion(&v)
}
