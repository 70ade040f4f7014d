package books

import "testing"

func TestFind(t *testing.T) {
	book, found := Find("978-1492077213")
	if !found || book.Title != "Learning Go" {
		t.Fatalf("got %v, %v", book, found)
	}
	if _, found := Find("none"); found {
		t.Fatal("found a book that is not there")
	}
}
