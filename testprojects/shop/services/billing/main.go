// Command billing books payments in the ledger, which is a Go module of its own.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/ledger/account"
	"example.com/ledger/journal"
	"example.com/shop/pkg/config"
	"example.com/shop/pkg/money"
	"example.com/shop/pkg/service"
)

func sample() (string, error) {
	cash, err := account.Parse("asset:cash")
	if err != nil {
		return "", err
	}
	sales, err := account.Parse("income:sales")
	if err != nil {
		return "", err
	}
	price, err := money.Parse("12.50")
	if err != nil {
		return "", err
	}
	var j journal.Journal
	err = j.Book(
		journal.Posting{Account: cash, Amount: int64(price)},
		journal.Posting{Account: sales, Amount: -int64(price)},
	)
	return fmt.Sprintf("%d entry, %v: %v", j.Len(), cash, money.Cents(j.Balance(cash))), err
}

func main() {
	os.Exit(service.Service{
		Name:  "billing",
		Check: func(config.Config) (string, error) { return sample() },
		Routes: func(config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{"/balance": service.Text(sample)}
		},
	}.Main())
}
