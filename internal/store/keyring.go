package store

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/sqlite"
)

const (
	masterName    = "master"
	masterKeyLen  = 32
	maxKeyFileLen = 4 << 10 // more is no key file
	sealVersion   = 1
	metaKeyID     = "key_id"
)

// ErrSealed is what Keyring.Open returns for anything that Seal did not make
// with the same key and the same context.
var ErrSealed = errors.New("store: sealed data does not open: it is damaged or belongs elsewhere")

// KeyError says why the master key cannot be used.
type KeyError struct {
	Path    string
	Problem string
	Remedy  string
}

// Error says what is wrong and what to do.
func (e *KeyError) Error() string {
	return fmt.Sprintf("master key %s %s: %s", e.Path, e.Problem, e.Remedy)
}

// Keyring derives every key from the master key, one per purpose (HKDF-SHA256,
// RFC 5869), so that what one purpose produces is worth nothing to another. It
// is safe for concurrent use.
type Keyring struct {
	master []byte
	seal   cipher.AEAD
}

// openKeyring reads the master key of folder dir, making it on first use, and
// holds it against the key id that the database remembers.
func openKeyring(ctx context.Context, files fsx.FS, dir string, db *sqlite.DB) (*Keyring, error) {
	path := filepath.Join(dir, masterName)
	var want string
	err := db.Read().QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", metaKeyID).Scan(&want)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("store: read the key id: %w", err)
	}
	master, err := readMaster(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && want != "":
		return nil, &KeyError{path, "is gone", "the database holds secrets that only this key opens; restore the file from a backup (key id " + want + ")"}
	case errors.Is(err, os.ErrNotExist):
		if master, err = makeMaster(files, path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	k, err := newKeyring(master)
	if err != nil {
		return nil, err
	}
	switch id := hex.EncodeToString(k.MAC("key id", nil)[:8]); want {
	case id:
		return k, nil
	case "":
		// The key file is on disk by now: a crash in between finds it and
		// comes here again.
		return k, rememberKey(ctx, db, id)
	default:
		return nil, &KeyError{path, "has id " + id, "the database was written with key " + want + "; restore that file from a backup"}
	}
}

func rememberKey(ctx context.Context, db *sqlite.DB, id string) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES (?, ?)", metaKeyID, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: record the key id: %w", err)
	}
	return nil
}

func newKeyring(master []byte) (*Keyring, error) {
	k := &Keyring{master: master}
	aead, err := chacha20poly1305.NewX(k.derive("selvage seal v1"))
	if err != nil {
		return nil, fmt.Errorf("store: sealing key: %w", err)
	}
	k.seal = aead
	return k, nil
}

// Seal encrypts plaintext with XChaCha20-Poly1305 under a random nonce. The
// context says what the secret belongs to; it is authenticated, not stored, and
// Open needs the same. The result is a version byte, the nonce, and ciphertext
// with tag: 41 bytes more than plaintext.
func (k *Keyring) Seal(plaintext, context []byte) ([]byte, error) {
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plaintext)+chacha20poly1305.Overhead)
	sealed[0] = sealVersion
	nonce := sealed[1:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("store: seal: %w", err)
	}
	return k.seal.Seal(sealed, nonce, plaintext, sealContext(context)), nil
}

// Open returns what Seal was given. The error is [ErrSealed] when sealed was
// changed, was sealed with another key, or belongs to another context.
func (k *Keyring) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < 1+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	nonce, text := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	plaintext, err := k.seal.Open(nil, nonce, text, sealContext(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// sealContext puts the version byte under authentication too.
func sealContext(context []byte) []byte {
	return append([]byte{sealVersion}, context...)
}

// MAC returns the HMAC-SHA256 (32 bytes) of data under the key of purpose. The
// caller compares with hmac.Equal.
func (k *Keyring) MAC(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, k.derive("selvage mac v1 "+purpose))
	h.Write(data)
	return h.Sum(nil)
}

func (k *Keyring) derive(info string) []byte {
	key, err := hkdf.Key(sha256.New, k.master, nil, info, masterKeyLen)
	if err != nil {
		panic(err) // only for a length beyond 255 hashes, or a short key in FIPS-only mode
	}
	return key
}

// readMaster refuses a key that others on the machine may read: it may be known
// to them already.
func readMaster(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // a fixed name in the data directory
	if err != nil {
		return nil, fmt.Errorf("store: master key: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("store: master key: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, &KeyError{path, fmt.Sprintf("has mode %04o, so others may read it", perm), "chmod 600 " + path}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFileLen))
	if err != nil {
		return nil, fmt.Errorf("store: master key: %w", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != masterKeyLen {
		return nil, &KeyError{path, "is not 64 hex digits", "restore it from a backup"}
	}
	return key, nil
}

func makeMaster(files fsx.FS, path string) ([]byte, error) {
	key := make([]byte, masterKeyLen)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("store: make the master key: %w", err)
	}
	if err := files.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: make the master key: %w", err)
	}
	if err := files.WriteFile(path, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("store: make the master key: %w", err)
	}
	return key, nil
}
