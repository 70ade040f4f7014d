package config

import "testing"

func TestLoad(t *testing.T) {
	for port, want := range map[string]int{"": 8080, "1": 1, "65535": 65535} {
		c, err := Load(func(key string) string {
			if key == "PORT" {
				return port
			}
			return ""
		})
		if err != nil || c.Port != want {
			t.Errorf("PORT=%q: got %d, %v; want %d", port, c.Port, err, want)
		}
	}
	for _, port := range []string{"0", "65536", "http"} {
		if _, err := Load(func(string) string { return port }); err == nil {
			t.Errorf("PORT=%q: want an error", port)
		}
	}
}
