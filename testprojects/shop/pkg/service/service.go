// Package service is the main function that all services share.
package service

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"

	"example.com/shop/pkg/config"
	"example.com/shop/pkg/httpserver"
	"example.com/shop/pkg/log"
	"example.com/shop/pkg/version"
)

// Service is one service of the shop.
type Service struct {
	Name string
	// Check tells in a few words that the service works.
	Check func(config.Config) (string, error)
	// Routes are the handlers by pattern.
	Routes func(config.Config) map[string]http.HandlerFunc
}

// Main runs the service: with -check it prints one line and returns, else it serves. The result is
// the exit status.
func (s Service) Main() int {
	check := flag.Bool("check", false, "print one line about the service and exit")
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println(s.Name, version.Version)
		return 0
	}
	c, err := config.Load(os.Getenv)
	if err == nil {
		if *check {
			err = s.printCheck(c)
		} else {
			l := log.New(os.Stderr, s.Name)
			err = httpserver.Serve(c.Port, httpserver.Handler(s.Routes(c), l), l)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", s.Name, err)
		return 1
	}
	return 0
}

func (s Service) printCheck(c config.Config) error {
	state, err := s.Check(c)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s %s %s/%s: %s\n", s.Name, version.Version, runtime.GOOS, runtime.GOARCH, state)
	return err
}

// Text is a handler that writes what text returns, or answers 500 with its error.
func Text(text func() (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s, err := text()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, s)
	}
}
