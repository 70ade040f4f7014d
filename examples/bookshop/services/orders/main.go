// Command orders takes orders.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/bookshop/pkg/books"
	"example.com/bookshop/pkg/server"
)

func main() {
	config := flag.String("config", "", "the file with the configuration")
	flag.Parse()
	text, err := os.ReadFile(*config)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("configured: %q", text)
	server.Main(map[string]http.HandlerFunc{"/order": order})
}

func order(w http.ResponseWriter, r *http.Request) {
	book, found := books.Find(r.URL.Query().Get("isbn"))
	if !found {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, "ordered: %s\n", book.Title)
}
