// Command catalog lists what is for sale.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/shop/pkg/catalog"
	"example.com/shop/pkg/config"
	"example.com/shop/pkg/service"
)

func main() {
	os.Exit(service.Service{
		Name: "catalog",
		Check: func(config.Config) (string, error) {
			return fmt.Sprintf("%d items, lines end in %q", len(catalog.All()), lineEnd), nil
		},
		Routes: func(config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{"/items": list}
		},
	}.Main())
}

func list(w http.ResponseWriter, _ *http.Request) {
	for _, item := range catalog.All() {
		fmt.Fprint(w, item.SKU, "\t", item.Price, "\t", item.Title, lineEnd)
	}
}
