package rpcrelay

// compose appends messages of the relay's own to a buffer. They have one segment
// and one root struct {tag; one pointer to a struct}.

// structPointer is a pointer to a struct of that size just behind it.
func structPointer(data, ptrs int) uint64 {
	return uint64(data)<<32 | uint64(ptrs)<<48 //nolint:gosec // small constants
}

// begin appends framing and root of a message whose body has that many words,
// beginning with a struct of data words and pointers.
func begin(b []byte, tag uint16, words, data, ptrs int) []byte {
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(3+words)) //nolint:gosec // small
	b = le.AppendUint64(b, structPointer(1, 1))
	b = le.AppendUint64(b, uint64(tag))
	return le.AppendUint64(b, structPointer(data, ptrs))
}

func appendBootstrap(b []byte, question uint32) []byte {
	b = begin(b, tagBootstrap, 2, 1, 1)
	b = le.AppendUint64(b, uint64(question))
	return le.AppendUint64(b, 0)
}

// appendFinish ends a question; release also gives back the capabilities in its results.
func appendFinish(b []byte, question uint32, release bool) []byte { //nolint:revive // a field of the message
	v := uint64(question)
	if !release {
		v |= 1 << 32
	}
	v |= 1 << 33 // no workaround for early cancellation
	return le.AppendUint64(begin(b, tagFinish, 1, 1, 0), v)
}

func appendRelease(b []byte, id, count uint32) []byte {
	return le.AppendUint64(begin(b, tagRelease, 1, 1, 0), uint64(id)|uint64(count)<<32)
}

// appendHosted answers a question with a capability that the relay hosts.
func appendHosted(b []byte, question, id uint32) []byte {
	// Return{2,1} → Payload{0,2}: content is capability 0, the table has one.
	b = begin(b, tagReturn, 3+2+1+2, 2, 1)
	b = le.AppendUint64(b, uint64(question)|1<<32) // params are not released: there are none
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, structPointer(0, 2))
	b = le.AppendUint64(b, 3)                        // content: a capability pointer, index 0
	b = le.AppendUint64(b, 1|7<<32|uint64(2)<<35)    // table: composite list of 2 words, just behind
	b = le.AppendUint64(b, uint64(1)<<2|1<<32|1<<48) // one element of {1,1}
	b = le.AppendUint64(b, capSenderHosted|uint64(id)<<32)
	return le.AppendUint64(b, 0)
}

// appendFailure answers a question with an exception.
func appendFailure(b []byte, question uint32, f *failure) []byte {
	text := padded(f.reason)
	b = begin(b, tagReturn, 3+3+len(text)/wordBytes, 2, 1)
	b = le.AppendUint64(b, uint64(question)|1<<32|returnException<<48)
	b = le.AppendUint64(b, 0)
	return appendException(b, f, text)
}

// appendBrokenPromise resolves a promise with an exception.
func appendBrokenPromise(b []byte, id uint32, f *failure) []byte {
	text := padded(f.reason)
	b = begin(b, tagResolve, 2+3+len(text)/wordBytes, 1, 1)
	b = le.AppendUint64(b, uint64(id)|resolveException<<32)
	return appendException(b, f, text)
}

// appendException appends a pointer to an Exception and the exception: {1,2},
// its reason a list of bytes behind it.
func appendException(b []byte, f *failure, text []byte) []byte {
	b = le.AppendUint64(b, structPointer(1, 2))
	b = le.AppendUint64(b, uint64(f.kind)<<32)
	b = le.AppendUint64(b, 1|1<<2|2<<32|uint64(len(f.reason)+1)<<35) // past the second pointer
	b = le.AppendUint64(b, 0)
	return append(b, text...)
}

// padded is a text with its zero, up to a whole word.
func padded(s string) []byte {
	b := make([]byte, (len(s)+1+wordBytes-1)&^(wordBytes-1))
	copy(b, s)
	return b
}
