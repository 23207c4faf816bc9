package workerd

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/supervise"
)

const (
	// Bounds on the exceptions whose second mention, by the runtime, is still
	// awaited.
	maxPending    = 64
	maxPendingAge = 5 * time.Second
	// Bounds on what is kept while a worker starts: of the runtime's words about
	// its failure, in bytes, and of log lines.
	maxStartErrors = 64 << 10
	maxHeld        = 1000
)

// started is what the entry module says when the worker's top level has run.
type started struct {
	Default  bool     `json:"default"`
	Handlers []string `json:"handlers"`
	Exports  []string `json:"exports"`
	// Entrypoints are those of Exports that can be called.
	Entrypoints []string `json:"entrypoints"`
	// Inert says that there is neither a default export nor one that could be bound.
	Inert bool `json:"inert"`
}

// takesEvents reports whether the entry module has a fetch method, the worker's or
// one of its own.
func (s *started) takesEvents() bool {
	return slices.ContainsFunc(s.Handlers, func(h string) bool { return h == "fetch" || h == EventScheduled || h == EventTail })
}

// logReader turns the output of one process into log lines. The output streams
// are read by two goroutines; onLog is called by one at a time.
type logReader struct {
	onLog func(LogLine)
	now   func() time.Time
	mark  string // begins the lines that only our modules write
	entry string // name of our module that runs handlers; frames of it are taken out

	mu       sync.Mutex
	pending  []pendingException
	starting bool
	failure  []string // what the runtime said about the worker while starting
	size     int
	held     []LogLine // logged while starting
	tail     string    // the last line that is no structured one
	started  chan struct{}
	info     started
	known    bool // info was received

	outOfMemory atomic.Bool // V8 said that its heap is full
	// args is what the next console line of a level was made of, told by the line
	// before it: both are written at once, to the same stream.
	args map[string]json.RawMessage
}

// A pendingException was reported by our modules; the runtime will log it too.
type pendingException struct {
	text string // how the runtime's line ends; empty: anything
	at   time.Time
}

func newLogReader(nonce, entry string, onLog func(LogLine)) *logReader {
	if onLog == nil {
		onLog = func(LogLine) {}
	}
	r := &logReader{
		onLog:    onLog,
		now:      time.Now,
		mark:     "\x01!" + nonce + "\x01",
		entry:    entry,
		starting: true,
		started:  make(chan struct{}),
	}
	return r
}

// reported says that what the entry module reports is known.
func (r *logReader) reported(info started) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report(info)
}

func (r *logReader) report(info started) {
	if r.known {
		return
	}
	r.info, r.known = info, true
	close(r.started)
}

// rawLine is a line of workerd's structured log. Console output has a number as
// timestamp (milliseconds; 0 outside of a request) and no source.
type rawLine struct {
	Timestamp json.RawMessage `json:"timestamp"`
	Level     string          `json:"level"`
	Source    string          `json:"source"`
	Message   string          `json:"message"`
}

func (r *logReader) line(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, ok := parseLine(b)
	if !ok {
		r.plain(b)
		return
	}
	line := LogLine{Time: r.timestamp(raw.Timestamp), Level: level(raw.Level)}
	if raw.Source != "" {
		r.runtime(line, raw.Message)
		return
	}
	line.Kind = Console
	if rest, ok := strings.CutPrefix(raw.Message, r.mark); ok {
		r.marked(line, rest)
		return
	}
	line.Invocation, line.Message = cutRay(raw.Message)
	line.Ray = rayOf(line.Invocation)
	line.Message = r.cutFrames(line.Message)
	if args, ok := r.args[line.Level]; ok {
		line.Args = args
		delete(r.args, line.Level)
	}
	r.emit(line)
}

// plain takes a line that is not structured: what the C library, V8 or a panic
// prints.
func (r *logReader) plain(b []byte) {
	text := strings.TrimSpace(strings.ToValidUTF8(string(b), "\uFFFD"))
	if text == "" {
		return
	}
	r.tail = text
	r.noteMemory(text)
	r.emit(LogLine{Time: r.now(), Level: "error", Kind: Runtime, Message: text})
}

// noteMemory knows V8's last words. No worker can write such a line: what it
// prints is structured, without a source.
func (r *logReader) noteMemory(text string) {
	if strings.Contains(text, textOutOfMemory) {
		r.outOfMemory.Store(true)
	}
}

// runtime takes what workerd itself says.
func (r *logReader) runtime(line LogLine, message string) {
	line.Kind = Runtime
	r.noteMemory(message)
	// Native frames: addresses in a file of the platform, of use to nobody.
	message, _, _ = strings.Cut(message, "\nstack: ")
	if text, ok := strings.CutPrefix(message, "service "+serviceUser+": "); ok {
		message = text
		if r.starting && line.Level == "error" {
			if r.size += len(text); r.size <= maxStartErrors {
				r.failure = append(r.failure, r.cutFrames(text))
			}
			return
		}
	}
	if r.alreadyReported(message) {
		return
	}
	if r.starting && line.Level == "error" {
		r.tail = message
	}
	line.Message = r.cutFrames(message)
	r.emit(line)
}

// alreadyReported drops the runtime's "Uncaught exception: file.c++:1: failed:
// remote.jsg.TypeError: message" about an exception that our modules reported
// with its stack and ray.
func (r *logReader) alreadyReported(message string) bool {
	if len(r.pending) == 0 || !strings.HasPrefix(message, "Uncaught exception: ") {
		return false
	}
	limit := r.now().Add(-maxPendingAge)
	for i, p := range r.pending {
		if p.at.After(limit) && strings.HasSuffix(message, p.text) {
			r.pending = append(r.pending[:i], r.pending[i+1:]...)
			return true
		}
	}
	return false
}

// marked takes a line that our modules wrote.
func (r *logReader) marked(line LogLine, text string) {
	var m struct {
		Type    string `json:"type"`
		Ray     string `json:"ray"`
		Name    string `json:"name"`
		Message string `json:"message"`
		Stack   string `json:"stack"`
		// Plain says that what was thrown is no Error.
		Plain bool `json:"plain"`
		// Background says that the runtime will not log it.
		Background bool `json:"background"`
		// Level and Args tell what the next line of the level is made of.
		Level string          `json:"level"`
		Args  json.RawMessage `json:"args"`
		// Entrypoint and Event tell what began.
		Entrypoint string          `json:"entrypoint"`
		Event      json.RawMessage `json:"event"`
		Status     int             `json:"status"`
		started
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return // cut by the bound on lines; the runtime's own line remains
	}
	switch m.Type {
	case "started":
		r.report(m.started)
	case "args":
		if r.args == nil {
			r.args = make(map[string]json.RawMessage)
		}
		r.args[level(m.Level)] = m.Args
	case "finished":
		line.Kind, line.Status = Finished, m.Status
		line.setInvocation(m.Ray)
		r.emit(line)
	case "began":
		line.Kind, line.Entrypoint, line.Event = Began, m.Entrypoint, m.Event
		line.setInvocation(m.Ray)
		r.emit(line)
	case "exception":
		switch {
		case m.Background:
		case m.Plain:
			r.expect("") // the runtime prints such values in its own way
		default:
			r.expect(m.Message)
		}
		line.Kind, line.Level = Exception, "error"
		line.setInvocation(m.Ray)
		line.Message = exceptionText(m.Name, m.Message)
		line.ErrorName, line.ErrorMessage = m.Name, m.Message
		line.Stack = r.cutFrames(stackFrames(m.Stack))
		r.emit(line)
	}
}

// expect remembers that the runtime will log an exception, too.
func (r *logReader) expect(message string) {
	if len(r.pending) == maxPending {
		r.pending = r.pending[1:]
	}
	r.pending = append(r.pending, pendingException{text: message, at: r.now()})
}

// emit passes a line on, or keeps it while it is not known whether this process
// will be the one.
func (r *logReader) emit(l LogLine) {
	if r.starting && len(r.held) < maxHeld {
		r.held = append(r.held, l)
		return
	}
	r.release()
	r.onLog(l)
}

func (r *logReader) release() {
	for _, l := range r.held {
		r.onLog(l)
	}
	r.held = nil
}

// startInfo returns what the entry module said, if it did.
func (r *logReader) startInfo() (info started, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info, r.known
}

// ready ends the phase in which errors of the runtime mean a failed start.
func (r *logReader) ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting = false
	r.release()
}

// startFailure returns the worker's fault, if the runtime named one, and the last
// thing that was said otherwise.
func (r *logReader) startFailure() (fault *StartError, tail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failure) == 0 {
		return nil, r.tail
	}
	return newStartError(strings.Join(r.failure, "\n")), r.tail
}

func (r *logReader) timestamp(raw json.RawMessage) time.Time {
	ms := int64(0)
	for _, c := range bytes.Trim(raw, `"`) {
		if c < '0' || c > '9' || ms > 1<<52 {
			return r.now()
		}
		ms = ms*10 + int64(c-'0')
	}
	if ms == 0 {
		return r.now()
	}
	return time.UnixMilli(ms)
}

// cutFrames takes the frames of our entry module out of a stack, wherever one is
// printed.
func (r *logReader) cutFrames(text string) string {
	if !strings.Contains(text, r.entry) && !strings.Contains(text, "selvage-internal:") {
		return text
	}
	lines := strings.Split(text, "\n")
	kept := lines[:0]
	for _, l := range lines {
		if !r.ourFrame(l) {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}

// ourFrame knows "    at fetch (selvage-entry.js:1:2)", "    at selvage-entry.js:1:2"
// and "  at selvage-entry.js:1:2 in name".
func (r *logReader) ourFrame(l string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(l, " "), "at ")
	if !ok {
		return false
	}
	if i := strings.LastIndexByte(rest, '('); i >= 0 {
		rest = rest[i+1:]
	}
	rest = strings.TrimPrefix(rest, "async ")
	rest = strings.TrimPrefix(rest, "file:///bundle/")
	for _, ours := range [...]string{r.entry, moduleDispatch, moduleCalls} {
		if after, ok := strings.CutPrefix(rest, ours); ok && strings.HasPrefix(after, ":") {
			return true
		}
	}
	return false
}

// parseLine reads one structured line. A line that was cut for its length is
// closed where its message ends.
func parseLine(b []byte) (raw rawLine, ok bool) {
	if len(b) == 0 || b[0] != '{' {
		return raw, false
	}
	if json.Unmarshal(b, &raw) == nil {
		return raw, raw.Level != ""
	}
	cut, found := bytes.CutSuffix(b, []byte(supervise.CutMark))
	if !found {
		return raw, false
	}
	// The cut may lie within a character or an escape, at most two \uXXXX long.
	for range 13 {
		if len(cut) == 0 {
			break
		}
		if utf8.Valid(cut) {
			whole := append(bytes.Clone(cut), supervise.CutMark+`"}`...)
			raw = rawLine{}
			if json.Unmarshal(whole, &raw) == nil && raw.Level != "" {
				return raw, true
			}
		}
		cut = cut[:len(cut)-1]
	}
	return raw, false
}

func level(s string) string {
	switch s {
	case "debug", "info", "log", "warn", "error":
		return s
	case "warning":
		return "warn"
	case "fatal":
		return "error"
	}
	return "log"
}

func exceptionText(name, message string) string {
	switch {
	case message == "":
		return name
	case name == "":
		return message
	}
	return name + ": " + message
}

// stackFrames returns the frames of an error's stack, without the message that
// V8 puts before them.
func stackFrames(stack string) string {
	if strings.HasPrefix(stack, "    at ") {
		return stack
	}
	if _, frames, ok := strings.Cut(stack, "\n    at "); ok {
		return "    at " + frames
	}
	return ""
}
