package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/selvage-dev/selvage/client"
)

// platform stands in for a running selvage.
func platform() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPut:
			ok(w, `{"id":"hello","deployment_id":"7d3f0c5e-0000-4000-8000-000000000000","startup_time_ms":12}`)
		default:
			refuse(w, http.StatusNotFound, 10007, "This Worker does not exist on your account: nobody.")
		}
	}))
}

func ExampleClient_Deploy() {
	srv := platform()
	defer srv.Close()
	// The values are those that "selvage env" prints.
	c, err := client.New(srv.URL+"/client/v4", "slv_…", "0123456789abcdef0123456789abcdef", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	out, err := c.Deploy(context.Background(), "hello", &client.Upload{
		MainModule:        "index.js",
		CompatibilityDate: "2026-05-01",
		Modules: []client.Module{{
			Name: "index.js", ContentType: client.TypeESModule,
			Body: []byte(`export default { fetch() { return new Response("hello") } }`),
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.ID, "version", out.VersionID[:8], "started in", out.StartupTimeMS, "ms")
	// Output: hello version 7d3f0c5e started in 12 ms
}

func ExampleHasCode() {
	srv := platform()
	defer srv.Close()
	c, err := client.New(srv.URL+"/client/v4", "slv_…", "0123456789abcdef0123456789abcdef", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, err = c.Worker(context.Background(), "nobody")
	fmt.Println(client.HasCode(err, client.CodeNotFound))
	// Output: true
}
