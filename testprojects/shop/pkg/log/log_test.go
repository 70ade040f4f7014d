package log

import (
	"strings"
	"testing"
)

func TestEvent(t *testing.T) {
	var b strings.Builder
	New(&b, "cart").Event("added item", "sku", "tea", "note", "a=b")
	want := "service=cart event=\"added item\" sku=tea note=\"a=b\"\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
