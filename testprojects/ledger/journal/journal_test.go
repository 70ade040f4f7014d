package journal

import (
	"errors"
	"testing"

	"example.com/ledger/account"
)

func TestBook(t *testing.T) {
	var j Journal
	cash := account.Account{Name: "cash", Kind: account.Asset}
	sales := account.Account{Name: "sales", Kind: account.Income}
	if err := j.Book(Posting{cash, 500}, Posting{sales, -500}); err != nil {
		t.Fatal(err)
	}
	if err := j.Book(Posting{cash, 1}); !errors.Is(err, ErrUnbalanced) {
		t.Errorf("got %v, want ErrUnbalanced", err)
	}
	if j.Len() != 1 || j.Balance(cash) != 500 {
		t.Errorf("len %d, cash %d; want 1 and 500", j.Len(), j.Balance(cash))
	}
}
