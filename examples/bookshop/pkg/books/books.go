// Package books knows what is for sale.
package books

// A Book is for sale.
type Book struct {
	ISBN  string
	Title string
	Cents int
}

// All lists the books, the cheapest first.
func All() []Book {
	return []Book{
		{ISBN: "978-0134190440", Title: "The Go Programming Language", Cents: 3499},
		{ISBN: "978-1492077213", Title: "Learning Go", Cents: 3999},
	}
}

// Find returns the book with this ISBN.
func Find(isbn string) (Book, bool) {
	for _, book := range All() {
		if book.ISBN == isbn {
			return book, true
		}
	}
	return Book{}, false
}
