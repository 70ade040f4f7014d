// Package server serves the handlers of a service beside /healthz.
package server

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

// Main listens on $PORT, or else on 8080, until the server fails.
func Main(routes map[string]http.HandlerFunc) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	for path, handler := range routes {
		mux.HandleFunc(path, handler)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
