// Command notify writes to customers; the texts lie beside the program, in $KO_DATA_PATH.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"example.com/shop/pkg/config"
	"example.com/shop/pkg/service"
)

func message(c config.Config, name string) (string, error) {
	if c.DataPath == "" {
		return "", fmt.Errorf("KO_DATA_PATH is not set: no messages")
	}
	text, err := os.ReadFile(filepath.Join(c.DataPath, "messages", name+".txt"))
	return strings.TrimSpace(string(text)), err
}

func main() {
	os.Exit(service.Service{
		Name: "notify",
		Check: func(c config.Config) (string, error) {
			text, err := message(c, "shipped")
			return fmt.Sprintf("%q", text), err
		},
		Routes: func(c config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{
				"/shipped": service.Text(func() (string, error) { return message(c, "shipped") }),
			}
		},
	}.Main())
}
