package supervise

// Keep says which layers a test leaves.
type Keep struct{ Namespaces, Seccomp, Landlock, None bool }

// With returns the isolation with only some of its layers.
func (i *Isolation) With(k Keep) *Isolation {
	out := *i
	out.namespaces = out.namespaces && k.Namespaces
	out.seccomp = out.seccomp && k.Seccomp
	out.landlock = out.landlock && k.Landlock
	return &out
}
