package decoder

// Watch has f see the logits before each token of a request is chosen.
func Watch(r *Request, f func(logits []float32)) { r.watch = f }
