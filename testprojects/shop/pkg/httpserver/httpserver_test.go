package httpserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/shop/pkg/log"
)

func TestHandler(t *testing.T) {
	routes := map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
	}
	handler := Handler(routes, log.New(io.Discard, "test"))
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/x": http.StatusTeapot} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		if recorder.Code != want {
			t.Errorf("%s: got %d, want %d", path, recorder.Code, want)
		}
	}
}
