package runtimebin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"

	"github.com/klauspost/compress/zstd"
)

// Meta describes a packed program.
type Meta struct {
	Version string `json:"version"` // of the npm package, such as 1.20261117.1
	SHA256  string `json:"sha256"`  // of the program, 64 hexadecimal digits
	Size    int64  `json:"size"`    // of the program, in bytes
	OS      string `json:"os"`      // as GOOS
	Arch    string `json:"arch"`    // as GOARCH
}

// The metadata stands before the program in a skippable frame of Zstandard (RFC
// 8878, section 3.1.2), so that the whole stays readable by any decoder.
const (
	skippableMagic = 0x184D2A5E
	maxMeta        = 4 << 10
	windowSize     = 8 << 20 // what decoders must support (RFC 8878, section 3.1.1.1.2)
)

// Pack writes program, whose metadata is m but for hash and size, to w.
func Pack(w io.Writer, program []byte, m Meta) error {
	sum := sha256.Sum256(program)
	m.SHA256, m.Size = hex.EncodeToString(sum[:]), int64(len(program))
	if err := m.check(); err != nil {
		return err
	}
	head, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("pack workerd: %w", err)
	}
	frame := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(head))) //nolint:gosec // a few hundred bytes
	if _, err := w.Write(append(frame, head...)); err != nil {
		return fmt.Errorf("pack workerd: %w", err)
	}
	enc, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(windowSize), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("pack workerd: %w", err)
	}
	_, err = io.Copy(enc, bytes.NewReader(program))
	if err := errors.Join(err, enc.Close()); err != nil {
		return fmt.Errorf("pack workerd: %w", err)
	}
	return nil
}

// check holds what the rest relies on: the version becomes part of a file name.
func (m *Meta) check() error {
	if !regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`).MatchString(m.Version) {
		return fmt.Errorf("packed workerd: version %q is not one", m.Version)
	}
	if sum, err := hex.DecodeString(m.SHA256); err != nil || len(sum) != sha256.Size || m.Size <= 0 {
		return fmt.Errorf("packed workerd: sha256 %q and size %d are not valid", m.SHA256, m.Size)
	}
	return nil
}

// readMeta reads the frame of metadata at the start of a blob.
func readMeta(r io.Reader) (m Meta, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return m, fmt.Errorf("packed workerd: %w", err)
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if binary.LittleEndian.Uint32(head[:]) != skippableMagic || size > maxMeta {
		return m, errors.New("packed workerd: it does not begin with its metadata; pack it with internal/runtimebin/pack")
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return m, fmt.Errorf("packed workerd: %w", err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("packed workerd: %w", err)
	}
	return m, m.check()
}

// unpack writes the program in r to w and fails unless it is what m says.
func unpack(w io.Writer, r io.Reader, m Meta) error {
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowSize))
	if err != nil {
		return fmt.Errorf("unpack workerd: %w", err)
	}
	defer dec.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(dec, m.Size+1))
	if err != nil {
		return fmt.Errorf("unpack workerd: %w", err)
	}
	if n != m.Size || !sameHash(sum, m.SHA256) {
		return errors.New("unpack workerd: the program is not the one that was packed: this binary is damaged, install it again")
	}
	return nil
}

func sameHash(sum hash.Hash, want string) bool { return hex.EncodeToString(sum.Sum(nil)) == want }
