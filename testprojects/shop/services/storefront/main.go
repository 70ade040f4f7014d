// Command storefront shows the catalog as a web page, out of files that it carries within itself.
package main

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strings"

	"example.com/shop/pkg/catalog"
	"example.com/shop/pkg/config"
	"example.com/shop/pkg/service"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed all:static
var static embed.FS

//go:embed motto.txt
var motto string

func page() (string, error) {
	t, err := template.ParseFS(templates, "templates/*.html")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, "index.html", struct {
		Motto string
		Items []catalog.Item
	}{strings.TrimSpace(motto), catalog.All()})
	return b.String(), err
}

func check(config.Config) (string, error) {
	html, err := page()
	if err != nil {
		return "", err
	}
	css, err := static.ReadFile("static/shop.css")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("page of %d bytes, style of %d bytes, %q", len(html), len(css), strings.TrimSpace(motto)), nil
}

func main() {
	os.Exit(service.Service{
		Name:  "storefront",
		Check: check,
		Routes: func(config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{
				"/":        service.Text(page),
				"/static/": http.FileServer(http.FS(static)).ServeHTTP,
			}
		},
	}.Main())
}
