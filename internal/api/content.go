package api

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"

	"github.com/selvage-dev/selvage/internal/api/form"
	"github.com/selvage-dev/selvage/internal/workers"
)

// getContent answers with the code of the version that serves: a script in the service-worker format
// as it is, modules as a form, the main one named in the header cf-entrypoint.
func getContent(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	v := current(s)
	if v == nil || !v.HasCode {
		return nil, errf(codeNotFound, "the worker %q has no code: it has static assets only, or no version", s.Name)
	}
	if v.ServiceWorker {
		// One script and perhaps its source map.
		i := slices.IndexFunc(v.Modules, func(m workers.Module) bool { return m.ContentType != form.SourceMapType })
		if i >= 0 {
			return c.plainContent(v.Modules[i]), nil
		}
	}
	return c.formContent(v), nil
}

func (c *call) plainContent(m workers.Module) stream {
	return func(w http.ResponseWriter) error {
		r, err := c.Workers.OpenModule(m)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // only read
		w.Header().Set("Content-Type", "application/javascript")
		_, err = io.Copy(w, r)
		return err
	}
}

func (c *call) formContent(v *workers.Version) stream {
	return func(w http.ResponseWriter) error {
		mw := multipart.NewWriter(w)
		w.Header().Set("Content-Type", mw.FormDataContentType())
		w.Header().Set("Etag", fmt.Sprintf("%q", v.Etag))
		// A module's name may hold what a header may not.
		w.Header().Set("Cf-Entrypoint", mime.QEncoding.Encode("utf-8", v.MainModule))
		for _, m := range v.Modules {
			if err := c.writeModule(mw, m); err != nil {
				return fmt.Errorf("write module %q: %w", m.Name, err)
			}
		}
		return mw.Close()
	}
}

func (c *call) writeModule(mw *multipart.Writer, m workers.Module) error {
	r, err := c.Workers.OpenModule(m)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", multipart.FileContentDisposition(m.Name, m.Name))
	h.Set("Content-Type", m.ContentType)
	part, err := mw.CreatePart(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, r)
	return err
}
