package kv

// SetInlineSize changes up to which size values are in their rows, before any
// namespace is open.
func SetInlineSize(s *Service, n int64) { s.inlineSize = n }
