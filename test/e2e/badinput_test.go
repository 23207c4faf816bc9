package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// call makes a raw request to the API, as something other than wrangler might.
func (p *platform) call(t *testing.T, method, path, token, contentType string, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.APIURL+"/client/v4"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// refused checks that an answer is a v4 error with the words that help.
func refused(t *testing.T, a answer, want string) {
	t.Helper()
	var envelope struct {
		Success bool `json:"success"`
		Errors  []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(a.Body), &envelope); err != nil || envelope.Success || len(envelope.Errors) == 0 {
		t.Fatalf("answered %d %q: not a v4 error", a.Status, tail(a.Body, 500))
	}
	if a.Status < 400 || a.Status >= 500 {
		t.Errorf("answered %d: %v", a.Status, envelope.Errors)
	}
	if !strings.Contains(a.Body, want) {
		t.Errorf("the error lacks %q: %v", want, envelope.Errors)
	}
}

// form is an upload form whose last part's body is read from body.
func form(metadata, module string, body io.Reader) (contentType string, r io.Reader) {
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	field, err := w.CreateFormField("metadata")
	if err == nil {
		_, err = io.WriteString(field, metadata)
	}
	if err == nil {
		_, err = w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, module, module)},
			"Content-Type":        {"application/javascript+module"},
		})
	}
	if err != nil {
		panic(err)
	}
	return w.FormDataContentType(), io.MultiReader(&head, body, strings.NewReader("\r\n--"+w.Boundary()+"--\r\n"))
}

func TestBadUploads(t *testing.T) {
	t.Parallel()
	p := start(t)
	scripts := "/accounts/" + p.AccountID + "/workers/scripts/bad"
	upload := func(metadata, module string, body io.Reader) answer {
		contentType, r := form(metadata, module, body)
		return p.call(t, http.MethodPut, scripts, p.Token, contentType, r)
	}
	const plain = `{"main_module": "index.js", "compatibility_date": "2026-09-01"}`
	t.Run("200 MB script", func(t *testing.T) {
		refused(t, upload(plain, "index.js", io.LimitReader(slashes{}, 200<<20)), "10027")
	})
	t.Run("module that climbs", func(t *testing.T) {
		refused(t, upload(`{"main_module": "../../x", "compatibility_date": "2026-09-01"}`, "../../x", strings.NewReader(hello("x"))), "../../x")
	})
	t.Run("metadata that is not JSON", func(t *testing.T) {
		refused(t, upload(`{"main_module": `, "index.js", strings.NewReader("")), "metadata")
	})
	t.Run("main module that is not there", func(t *testing.T) {
		refused(t, upload(`{"main_module": "other.js", "compatibility_date": "2026-09-01"}`, "index.js", strings.NewReader(hello("x"))), "other.js")
	})
	t.Run("name that injects", func(t *testing.T) {
		contentType, r := form(plain, "index.js", strings.NewReader(hello("x")))
		refused(t, p.call(t, http.MethodPut, "/accounts/"+p.AccountID+"/workers/scripts/a%22%2C%0Ab", p.Token, contentType, r), "")
	})
	t.Run("infinite loop at start", func(t *testing.T) {
		refused(t, upload(plain, "index.js", strings.NewReader("while (true) {}")), "10021")
	})
	if a := p.call(t, http.MethodGet, "/accounts/"+p.AccountID+"/workers/scripts", p.Token, "", nil); strings.Contains(a.Body, `"id"`) {
		t.Errorf("a refused upload left a script behind: %s", a.Body)
	}
}

// slashes is JavaScript that is one endless comment.
type slashes struct{}

func (slashes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '/'
	}
	return len(p), nil
}

func TestBadAssetUploads(t *testing.T) {
	t.Parallel()
	p := start(t)
	session := "/accounts/" + p.AccountID + "/workers/scripts/site/assets-upload-session"
	manifest := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"manifest": {`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"/f/%d": {"hash": "%032x", "size": 5}`, i, i)
		}
		b.WriteString("}}")
		return b.String()
	}
	t.Run("more than 100,000 files", func(t *testing.T) {
		refused(t, p.call(t, http.MethodPost, session, p.Token, "application/json", strings.NewReader(manifest(100_001))), "100")
	})
	t.Run("100,000 files", func(t *testing.T) {
		a := p.call(t, http.MethodPost, session, p.Token, "application/json", strings.NewReader(manifest(100_000)))
		if a.Status != 200 {
			t.Errorf("answered %d %s", a.Status, tail(a.Body, 300))
		}
	})
	t.Run("path that climbs", func(t *testing.T) {
		refused(t, p.call(t, http.MethodPost, session, p.Token, "application/json", strings.NewReader(`{"manifest": {"/../../x": {"hash": "00000000000000000000000000000000", "size": 1}}}`)), "/../../x")
	})
	t.Run("content under a wrong hash", func(t *testing.T) {
		a := p.call(t, http.MethodPost, session, p.Token, "application/json", strings.NewReader(`{"manifest": {"/a.txt": {"hash": "00000000000000000000000000000001", "size": 5}}}`))
		var opened struct {
			Result struct {
				JWT string `json:"jwt"`
			} `json:"result"`
		}
		if err := json.Unmarshal([]byte(a.Body), &opened); err != nil || opened.Result.JWT == "" {
			t.Fatalf("the session: %d %s", a.Status, a.Body)
		}
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="00000000000000000000000000000001"; filename="00000000000000000000000000000001"`}, "Content-Type": {"text/plain"},
		})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, "aGVsbG8=")
		w.Close()
		refused(t, p.call(t, http.MethodPost, "/accounts/"+p.AccountID+"/workers/assets/upload?base64=true", opened.Result.JWT, w.FormDataContentType(), &b), "00000000000000000000000000000001")
	})
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	p := start(t)
	path := "/accounts/" + p.AccountID + "/workers/scripts"
	for _, c := range []struct{ name, path, token string }{
		{"no token", path, ""},
		{"wrong token", path, "slv_0000000000000000000000000000000000000000"},
		{"wrong account", "/accounts/00000000000000000000000000000000/workers/scripts", p.Token},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, p.call(t, http.MethodGet, c.path, c.token, "", nil), "") })
	}
	t.Run("a token that may only read", func(t *testing.T) {
		made, err := p.client(t).CreateToken(t.Context(), "reader", []string{"workers:read"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := p.call(t, http.MethodGet, path, made.Secret, "", nil); a.Status != 200 {
			t.Errorf("it may not read: %d %s", a.Status, a.Body)
		}
		a := p.call(t, http.MethodDelete, path+"/x", made.Secret, "", nil)
		if a.Status != 403 {
			t.Errorf("it deletes: %d %s", a.Status, a.Body)
		}
	})
	t.Run("a route that is not there", func(t *testing.T) {
		refused(t, p.call(t, http.MethodGet, "/accounts/"+p.AccountID+"/no/such", p.Token, "", nil), "/no/such")
	})
}
