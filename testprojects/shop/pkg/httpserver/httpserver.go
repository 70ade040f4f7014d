// Package httpserver serves a service's handlers beside /healthz, and logs every request.
package httpserver

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.com/shop/pkg/log"
)

// Handler adds /healthz and a log line for each request to routes.
func Handler(routes map[string]http.HandlerFunc, l *log.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	for pattern, route := range routes {
		mux.HandleFunc(pattern, route)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		mux.ServeHTTP(w, r)
		l.Event("request", "method", r.Method, "path", r.URL.Path, "took", time.Since(start))
	})
}

// Serve listens on port until the server fails.
func Serve(port int, handler http.Handler, l *log.Logger) error {
	server := &http.Server{
		Addr:              fmt.Sprintf(":%d", port),
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
	}
	l.Event("listening", "port", port)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
