package main

import (
	"runtime"
	"strings"
	"testing"
)

func TestGreet(t *testing.T) {
	var b strings.Builder
	if err := greet(&b, "Go"); err != nil {
		t.Fatal(err)
	}
	want := "hello, Go, from " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
