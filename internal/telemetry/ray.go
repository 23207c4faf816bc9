package telemetry

import "math/rand/v2"

// NewRay returns the identifier of one request: 16 lower-case hexadecimal
// digits. Rays explain, they authorise nothing. They come from the runtime's
// seeded ChaCha8 generator, which needs no lock and cannot be guessed from the
// rays seen before.
func NewRay() string {
	const hex = "0123456789abcdef"
	var ray [16]byte
	v := rand.Uint64() //nolint:gosec // not a secret, and ChaCha8 seeded by the system anyway
	for i := range ray {
		ray[i] = hex[v&0xf]
		v >>= 4
	}
	return string(ray[:])
}
