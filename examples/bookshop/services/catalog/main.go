// Command catalog lists the books.
package main

import (
	"fmt"
	"net/http"

	"example.com/bookshop/pkg/books"
	"example.com/bookshop/pkg/server"
)

func main() {
	server.Main(map[string]http.HandlerFunc{
		"/books": func(w http.ResponseWriter, _ *http.Request) {
			for _, book := range books.All() {
				fmt.Fprintf(w, "%s\t%d\t%s\n", book.ISBN, book.Cents, book.Title)
			}
		},
	})
}
