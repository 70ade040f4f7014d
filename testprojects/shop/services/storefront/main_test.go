package main

import (
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	html, err := page()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Tea, 100 g", "5.49", strings.TrimSpace(motto)} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in %s", want, html)
		}
	}
}
