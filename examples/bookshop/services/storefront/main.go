// Command storefront shows the shop.
package main

import (
	"embed"
	"html/template"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"example.com/bookshop/pkg/books"
	"example.com/bookshop/pkg/server"
	"example.com/bookshop/pkg/version"
)

// Compiled into the program.
//
//go:embed templates
var templates embed.FS

func main() {
	page := template.Must(template.ParseFS(templates, "templates/*.html"))
	server.Main(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, _ *http.Request) {
			data := map[string]any{"Books": books.All(), "Version": version.Version}
			if err := page.ExecuteTemplate(w, "index.html", data); err != nil {
				log.Print(err)
			}
		},
		// In a layer of its own: the directory kodata beside this file.
		"/robots.txt": func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(os.Getenv("KO_DATA_PATH"), "robots.txt"))
		},
	})
}
