// Command hello prints a line that names the platform it was built for.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

func greet(w io.Writer, name string) error {
	_, err := fmt.Fprintf(w, "hello, %s, from %s/%s\n", name, runtime.GOOS, runtime.GOARCH)
	return err
}

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if err := greet(os.Stdout, name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
