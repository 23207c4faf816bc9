package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/server"
)

// callTimeout bounds a call to the platform that is no stream.
const callTimeout = 30 * time.Second

// errNotRunning says that the data directory has no running platform.
var errNotRunning = errors.New("not running")

type notRunningError struct{ dir string }

func (e *notRunningError) Error() string {
	return fmt.Sprintf("no platform runs on the data directory %s; start one with \"selvage up\", or name the directory of one that runs with --data", e.dir)
}

func (e *notRunningError) Is(target error) bool { return target == errNotRunning }

// running finds the platform of the data directory.
func (a *app) running() (server.RunInfo, *config.Effective, error) {
	c, err := a.loadData()
	if err != nil {
		return server.RunInfo{}, nil, err
	}
	info, ok := server.ReadRunFile(c.Data)
	if !ok {
		return server.RunInfo{}, c, &notRunningError{dir: c.Data}
	}
	return info, c, nil
}

// Variables that name a platform, as "selvage env" prints them for wrangler.
const (
	envBaseURL = "CLOUDFLARE_API_BASE_URL"
	envToken   = "CLOUDFLARE_API_TOKEN" //nolint:gosec // a name
	envAccount = "CLOUDFLARE_ACCOUNT_ID"
)

// connect returns a client of the platform that the variables name, or else of
// the one on this machine, with the operator's token. A data directory that is
// named wins over variables. The caller closes it.
func (a *app) connect() (*client.Client, error) {
	base, token := a.getenv(envBaseURL), a.getenv(envToken)
	if a.data != "" || a.getenv("SELVAGE_DATA") != "" || base == "" || token == "" {
		return a.connectLocal()
	}
	o := client.Options{UserAgent: "selvage/" + a.Version, Attempts: 2}
	info, _, err := a.running()
	local := err == nil && apiBase(info.Info) == strings.TrimSuffix(base, "/")
	if local && info.CertSHA256 != "" {
		o.HTTP = pinned(info.CertSHA256)
	}
	account := a.getenv(envAccount)
	if account == "" && local {
		account = info.AccountID
	}
	return client.New(base, token, account, o)
}

// connectLocal returns a client of the platform on the data directory.
func (a *app) connectLocal() (*client.Client, error) {
	info, c, err := a.running()
	if err != nil {
		return nil, err
	}
	token, err := operatorToken(c.Data)
	if err != nil {
		return nil, err
	}
	o := client.Options{UserAgent: "selvage/" + a.Version, Attempts: 2}
	if info.CertSHA256 != "" {
		o.HTTP = pinned(info.CertSHA256)
	}
	return client.New(apiBase(info.Info), token, info.AccountID, o)
}

// apiBase is the API as wrangler takes it.
func apiBase(info server.Info) string { return info.APIURL + "/client/v4" }

// pinned is an HTTP client that talks to the holder of one certificate only: on
// this machine the API is reached by its address, which the certificate need
// not name. The hash comes from platform.json, which is the operator's alone.
func pinned(sha string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is stricter
			VerifyConnection: func(s tls.ConnectionState) error {
				sum := sha256.Sum256(s.PeerCertificates[0].Raw)
				if hex.EncodeToString(sum[:]) != sha {
					return errors.New("the API answers with another certificate than the platform has; is another program on its port?")
				}
				return nil
			},
		},
	}}
}

// operatorToken reads the operator's token from the data directory.
func operatorToken(dataDir string) (string, error) {
	path := filepath.Join(dataDir, "operator-token")
	roll := "selvage token roll operator --data " + quotePOSIX(dataDir)
	f, err := os.Open(path) //nolint:gosec // in the data directory
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the operator's token %s is gone; make a new one with: %s", path, roll)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("the operator's token %s may be read by the user who runs the platform only; run this as that user", path)
	case err != nil:
		return "", fmt.Errorf("read the operator's token: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read the operator's token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("the file %s holds no token; make a new one with: %s", path, roll)
	}
	return token, nil
}
