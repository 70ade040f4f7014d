// Command gateway tells where the other services are.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/shop/pkg/config"
	"example.com/shop/pkg/service"
)

var routes = map[string]string{
	"/bill":    "checkout",
	"/balance": "billing",
	"/cart":    "cart",
	"/items":   "catalog",
	"/shipped": "notify",
}

func handlers(c config.Config) map[string]http.HandlerFunc {
	all := make(map[string]http.HandlerFunc, len(routes))
	for path, name := range routes {
		target := fmt.Sprintf("http://%s:%d%s", name, c.Port, path)
		all[path] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		}
	}
	return all
}

func main() {
	os.Exit(service.Service{
		Name: "gateway",
		Check: func(c config.Config) (string, error) {
			return fmt.Sprintf("%d routes", len(handlers(c))), nil
		},
		Routes: handlers,
	}.Main())
}
