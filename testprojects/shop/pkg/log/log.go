// Package log writes one line of key=value pairs for each event.
package log

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Logger writes to one writer, a whole line at a time.
type Logger struct {
	mu   sync.Mutex
	w    io.Writer
	name string
}

// New makes a Logger whose lines begin with service=name.
func New(w io.Writer, name string) *Logger { return &Logger{w: w, name: name} }

// Event writes a line; pairs are keys and values in turn.
func (l *Logger) Event(event string, pairs ...any) {
	var b strings.Builder
	fmt.Fprintf(&b, "service=%s event=%s", quote(l.name), quote(event))
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, " %v=%s", pairs[i], quote(fmt.Sprint(pairs[i+1])))
	}
	b.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, b.String())
}

func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " =\"\n\t") {
		return strconv.Quote(s)
	}
	return s
}
