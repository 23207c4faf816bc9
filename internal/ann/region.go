package ann

// region is anonymous memory outside of the Go heap, in large pages where the
// system has them: a search touches rows all over it, and with small pages each
// touch costs a walk through page tables besides. The heap's own memory cannot
// be asked for that, and would be scanned.
type region struct {
	bytes []byte
}

// free gives the memory back. The region and its views are dead afterwards.
func (r *region) free() error {
	if len(r.bytes) == 0 {
		return nil
	}
	b := r.bytes
	r.bytes = nil
	return unmap(b)
}
