package imagefs

import "encoding/binary"

// Forms of security.capability (linux/capability.h): the revision is in the first
// word with the flag in its lowest bit, then two pairs of words, and in the third
// revision the id of the root user for whom they count.
const (
	capRevisionMask = 0xff000000
	capRevision2    = 0x02000000
	capRevision3    = 0x03000000
	capLen2         = 20
	capLen3         = 24
)

// capabilityFor makes file capabilities count in the user namespace whose root is
// the user root here, and nowhere else; nil when v is of no known form.
func capabilityFor(v []byte, root int) []byte {
	if len(v) != capLen2 && len(v) != capLen3 {
		return nil
	}
	magic := binary.LittleEndian.Uint32(v)
	if r := magic & capRevisionMask; r != capRevision2 && r != capRevision3 {
		return nil
	}
	out := make([]byte, capLen3)
	copy(out, v[:capLen2])
	binary.LittleEndian.PutUint32(out, magic&^capRevisionMask|capRevision3)
	binary.LittleEndian.PutUint32(out[capLen2:], uint32(root)) //nolint:gosec // an id of a user
	return out
}
